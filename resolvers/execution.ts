import type { GraphQLSchema } from 'graphql';
import type { RequestContext } from '#core/context.ts';
import { makeExecutable } from '#schema/build.ts';
import type { Problem } from '#schema/problem.ts';
import type { Upstream } from '#upstreams/upstream.ts';
import { bindFields } from './bind-fields.ts';
import { ExecutionContext, unlimited } from './execution-context.ts';
import { unanswered, upstreamProblems } from './field-problems.ts';
import { guardFields, readDemands, type Demands } from './guard-fields.ts';
import { ModuleError } from './module-error.ts';
import type { Module } from './module.ts';
import { ModuleRuntimes } from './module-runtimes.ts';
import type { Look } from './own-fields.ts';
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
 * @param runtimes the modules, where they have been made ready already
 * @param look at what a consumer has left; where it is left out nobody is limited
 * @throws {ModuleError} with everything that does not fit together
 */
export function createExecution(
  modules: readonly Module[],
  upstreams: ReadonlyMap<string, Upstream>,
  runtimes = new ModuleRuntimes(modules, upstreams),
  look: Look = unlimited,
): Execution {
  const problems: Problem[] = [...runtimes.problems];
  const { schema, problems: inSdl } = schemaOf(modules);
  if (!schema) throw new ModuleError([...problems, ...inSdl]);
  const { resolvers, answeredBy, problems: misfits } = bindFields(schema, runtimes.all, upstreams);
  problems.push(...upstreamProblems(schema, upstreams), ...misfits);
  // What a module that did not start would have answered is no further problem.
  if (runtimes.all.length === modules.length) problems.push(...unanswered(schema, answeredBy));
  const { demands, problems: unusable } = readDemands(schema);
  problems.push(...unusable);
  if (problems.length > 0) throw new ModuleError(problems);
  const executable = makeExecutable(schema, resolvers);
  guardFields(executable, demands);
  return { schema: executable, demands, contextFor: (request) => new ExecutionContext(request, undefined, look) };
}
