import type { GraphQLSchema } from 'graphql';
import type { Module } from '#resolvers/module.ts';
import { lintSchema } from '#schema/lint.ts';
import { formatProblem } from '#schema/problem.ts';
import { checkTransform } from '#upstreams/transforms/check.ts';
import { inspect } from '#gateway/assembly.ts';
import type { LoadedConfig } from '#gateway/config/load.ts';
import { methodsWithoutFallback } from '#gateway/rest/fallback-settings.ts';
import { contractDrift } from '#gateway/contract/drift.ts';
import { openProject } from '#gateway/project.ts';
import { compareWith } from './against.ts';
import type { Arguments } from './arguments.ts';
import { checkBudget } from './budget.ts';
import { compileModules } from './compile.ts';
import { productionProblems } from './production.ts';
import type { Terminal } from './terminal.ts';
import { unmetAuth } from './unmet-auth.ts';

/** What a check found. Errors fail it; a warning is a price or a danger that may be meant, and fails nothing. */
export interface Findings {
  readonly errors: readonly string[];
  readonly warnings: readonly string[];
}

/** Checks all that can be known before traffic: configuration, modules, schema, types, and what clients rely on. */
export async function check(args: Arguments, terminal: Terminal): Promise<number> {
  const project = await openProject(args);
  const { loaded, modules, modulesDir } = project;
  // Put together as it would be to run, which throws for whatever does not fit; nothing is connected.
  const assembly = inspect(project);
  const { execution, routes, upstreams } = assembly;
  const found: Findings[] = [
    { errors: [], warnings: halfFallbacks(loaded) },
    { errors: contractDrift(routes), warnings: [] },
    { errors: [], warnings: unmetAuth(loaded, execution?.schema) },
    { errors: [], warnings: execution ? [] : idleObjectives(loaded) },
    // For production that nobody asks for its health is an error.
    args.production
      ? { errors: productionProblems(loaded), warnings: [] }
      : { errors: [], warnings: missingHealth(loaded) },
  ];
  if (execution) found.push(lint(execution.schema));
  found.push({ errors: modules.flatMap(lossyTransforms), warnings: [] });
  if (args.against !== undefined) found.push(compareWith(args.against, execution?.schema));
  const { operations, budget, writeBudget: write } = args;
  if (operations !== undefined) found.push(checkBudget({ operations, budget, write }, loaded.config, assembly));
  if (modulesDir !== undefined) found.push(await compile(modulesDir));
  const errors = found.flatMap((findings) => findings.errors);
  for (const warning of found.flatMap(({ warnings }) => warnings)) terminal.out(`warning: ${warning}\n`);
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

function missingHealth({ config, file }: LoadedConfig): string[] {
  return Object.entries(config.upstreams).flatMap(([name, { health }]) =>
    health
      ? []
      : [
          `upstreams.${name} has no health.path, so it is watched only passively: a sick endpoint is found by the calls ` +
            `that fail at it. Add health: { path: /health } in ${file} or in the module.`,
        ],
  );
}

/** Fallbacks that claim success, on routes that name methods of which none may be claimed. */
function halfFallbacks({ config, sources }: LoadedConfig): string[] {
  return config.routes.flatMap(({ path, methods, fallback }, index) => {
    const without = fallback ? methodsWithoutFallback(fallback.status, methods) : [];
    if (!fallback || without.length === 0) return [];
    return [
      `The route ${path} (${sources.of(['routes', index])}) has a fallback of status ${fallback.status}, which would ` +
        `claim of ${without.join(', ')} that something was done: it stands in for GET and HEAD alone, and the others fail. ` +
        'Give them a route of their own, with a fallback from 400 on or with none.',
    ];
  });
}

/** Objectives for `/graphql` where nothing is served there. */
function idleObjectives({ config, sources }: LoadedConfig): string[] {
  return config.slo.flatMap(({ name, graphql }, index) =>
    graphql
      ? [
          `The objective ${name} (${sources.of(['slo', index])}) is for ${config.graphql.path}, which is not there without modules ` +
            'that bring SDL: nothing would ever be counted. Leave graphql out.',
        ]
      : [],
  );
}

function lossyTransforms({ name, transforms }: Module): string[] {
  return transforms.flatMap((transform) =>
    checkTransform(transform).map((problem) => `The transform '${transform.name}' of module '${name}': ${problem}.`),
  );
}

function lint(schema: GraphQLSchema): Findings {
  const found = lintSchema(schema);
  const of = (severity: string): string[] =>
    found.filter((finding) => finding.severity === severity).map(formatProblem);
  return { errors: of('error'), warnings: of('warning') };
}

async function compile(modulesDir: string): Promise<Findings> {
  const { ok, output } = await compileModules(modulesDir);
  return { errors: ok ? [] : [`The modules do not compile:\n${output}`], warnings: [] };
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
