import type { GraphQLSchema } from 'graphql';
import { lintSchema } from '#schema/lint.ts';
import { formatProblem } from '#schema/problem.ts';
import { inspect } from '#gateway/assembly.ts';
import type { LoadedConfig } from '#gateway/config/load.ts';
import { openProject } from '#gateway/project.ts';
import { compareWith } from './against.ts';
import type { Arguments } from './arguments.ts';
import { compileModules } from './compile.ts';
import { productionProblems } from './production.ts';
import type { Terminal } from './terminal.ts';

/** What a check found: errors fail it, notes are for the reader. */
export interface Findings {
  readonly errors: readonly string[];
  readonly notes: readonly string[];
}

/** Checks all that can be known before traffic: configuration, modules, schema, types, and what clients rely on. */
export async function check(args: Arguments, terminal: Terminal): Promise<number> {
  const project = await openProject(args);
  const { loaded, modules, modulesDir } = project;
  // Put together as it would be to run, which throws for whatever does not fit; nothing is connected.
  const { execution, routes, upstreams } = inspect(project);
  const found: Findings[] = [
    { errors: [], notes: missingHealth(loaded) },
    { errors: args.production ? productionProblems(loaded) : [], notes: [] },
  ];
  if (execution) found.push(lint(execution.schema));
  if (args.against !== undefined) found.push(compareWith(args.against, execution?.schema));
  if (modulesDir !== undefined) found.push(await compile(modulesDir));
  const errors = found.flatMap((findings) => findings.errors);
  for (const note of found.flatMap((findings) => findings.notes)) terminal.out(`note: ${note}\n`);
  for (const error of errors) terminal.err(`error: ${error}\n`);
  if (errors.length > 0) return 1;
  const rest = routes.routes.filter(({ door }) => door === 'rest');
  const counts = [
    counted(upstreams.size, 'upstream'),
    counted(rest.length, 'route'),
    counted(modules.length, 'module'),
  ];
  terminal.out(`${loaded.file} is sound: ${counts.join(', ')}.\n`);
  return 0;
}

function missingHealth({ config }: LoadedConfig): string[] {
  return Object.entries(config.upstreams).flatMap(([name, { health }]) =>
    health ? [] : [`upstreams.${name} has no health.path, so a sick endpoint is found only by the calls that fail.`],
  );
}

function lint(schema: GraphQLSchema): Findings {
  const found = lintSchema(schema);
  const of = (severity: string): string[] =>
    found.filter((finding) => finding.severity === severity).map(formatProblem);
  return { errors: of('error'), notes: of('warning') };
}

async function compile(modulesDir: string): Promise<Findings> {
  const { ok, output } = await compileModules(modulesDir);
  return { errors: ok ? [] : [`The modules do not compile:\n${output}`], notes: [] };
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
