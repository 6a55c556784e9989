import type { GraphQLSchema } from 'graphql';
import { systemClock, type Clock } from '#core/clock.ts';
import type { RequestContext } from '#core/context.ts';
import { makeExecutable } from '#schema/build.ts';
import type { Problem } from '#schema/problem.ts';
import type { Upstream } from '#upstreams/upstream.ts';
import { bindFields } from './bind-fields.ts';
import { ExecutionContext } from './execution-context.ts';
import { unanswered, upstreamProblems } from './field-problems.ts';
import { guardFields, readDemands, type Demands } from './guard-fields.ts';
import { ModuleError } from './module-error.ts';
import type { Module } from './module.ts';
import { ModuleRuntime, whereIs } from './runtime.ts';
import { schemaOf } from './schema-of.ts';

/** The modules as one executable schema, and what makes a request's context for it. */
export interface Execution {
  readonly schema: GraphQLSchema;
  /** What its fields ask of who reads them. */
  readonly demands: Demands;
  readonly contextFor: (request: RequestContext) => ExecutionContext;
}

/**
 * Joins the modules.
 * @param upstreams by name; every upstream of a module must be among them
 * @throws {ModuleError} with everything that does not fit together
 */
export function createExecution(
  modules: readonly Module[],
  upstreams: ReadonlyMap<string, Upstream>,
  clock: Clock = systemClock,
): Execution {
  const problems: Problem[] = [];
  const runtimes = modules.flatMap((module) => startModule(module, upstreams, clock, problems) ?? []);
  const { schema, problems: inSdl } = schemaOf(modules);
  if (!schema) throw new ModuleError([...problems, ...inSdl]);
  const { resolvers, answeredBy, problems: misfits } = bindFields(schema, runtimes, upstreams);
  problems.push(...upstreamProblems(schema, upstreams), ...misfits);
  // What a module that did not start would have answered is no further problem.
  if (runtimes.length === modules.length) problems.push(...unanswered(schema, answeredBy));
  const { demands, problems: unusable } = readDemands(schema);
  problems.push(...unusable);
  if (problems.length > 0) throw new ModuleError(problems);
  const executable = makeExecutable(schema, resolvers);
  guardFields(executable, demands);
  return { schema: executable, demands, contextFor: (request) => new ExecutionContext(request) };
}

function startModule(
  module: Module,
  upstreams: ReadonlyMap<string, Upstream>,
  clock: Clock,
  problems: Problem[],
): ModuleRuntime | undefined {
  const where = whereIs(module);
  const own = Object.keys(module.upstreams).flatMap((name) => {
    const upstream = upstreams.get(name);
    if (upstream) return [upstream];
    problems.push({
      where,
      message: `the upstream '${name}' has no endpoints`,
      fix: `add upstreams.${name}.endpoints to gateway.yaml`,
    });
    return [];
  });
  try {
    return new ModuleRuntime(module, own, clock);
  } catch (error) {
    problems.push({ where, message: (error as Error).message, fix: 'correct the module' });
    return undefined;
  }
}
