import { formatProblem, type Problem } from '#schema/problem.ts';

/** Everything that keeps the modules from running, at once. */
export class ModuleError extends Error {
  override readonly name = 'ModuleError';
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[], cause?: unknown) {
    const title =
      problems.length === 1 ? 'The modules have a problem:' : `The modules have ${problems.length} problems:`;
    super([title, ...problems.map(formatProblem)].join('\n'), cause === undefined ? undefined : { cause });
    this.problems = problems;
  }
}
