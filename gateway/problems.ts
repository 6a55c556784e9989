/** Several things that keep a gateway from starting, told at once; for whatever `ConfigError` has no line for. */
export class ProblemsError extends Error {
  override readonly name = 'ProblemsError';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.problems = problems;
  }
}
