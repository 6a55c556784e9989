import { fileURLToPath } from 'node:url';
import { execute, parse, subscribe, validate, type ExecutionResult } from 'graphql';
import { onTestFinished } from 'vitest';
import { systemClock } from '#core/clock.ts';
import type { RequestContext } from '#core/context.ts';
import { silentLogger } from '#core/log.ts';
import { noMeter } from '#core/meter.ts';
import { upstreamLayers } from '#gateway/pipeline.ts';
import type { Execution } from '#resolvers/execution.ts';
import type { Module } from '#resolvers/module.ts';
import type { Sdl } from '#schema/sdl.ts';
import { ownContext } from '#upstreams/own-context.ts';
import { upstreamSchema, type UpstreamInput } from '#upstreams/settings.ts';
import { Upstream } from '#upstreams/upstream.ts';

/** An upstream with all of its layers, closed when the test ends. */
export function upstreamAt(name: string, url: string, settings: Partial<UpstreamInput> = {}): Upstream {
  const surroundings = { clock: systemClock, log: silentLogger, meter: noMeter, propagate() {} };
  const layers = upstreamLayers.map(({ layer }) => layer);
  const upstream = new Upstream(name, upstreamSchema.parse({ endpoints: [url], ...settings }), surroundings, layers);
  onTestFinished(() => upstream.destroy());
  return upstream;
}

export function byName(...upstreams: readonly Upstream[]): ReadonlyMap<string, Upstream> {
  return new Map(upstreams.map((upstream) => [upstream.name, upstream]));
}

/** A request that nobody sent: cancelled only by the test. */
export function newRequest(): RequestContext {
  return ownContext(systemClock);
}

/** A document of a module that stands in no file. */
export function sdlText(module: string, text: string): Sdl {
  const from = new URL(`${module}/module.ts`, import.meta.url);
  return { url: new URL(`${module}/${module}.graphql`, import.meta.url), from, text };
}

/** A module as `defineModule` gives it, for schemas that the types of this repository know nothing of. */
export function moduleOf(
  name: string,
  sdl: string,
  parts: Partial<Pick<Module, 'upstreams' | 'openapi' | 'loaders' | 'resolvers'>> = {},
): Module {
  const document = sdlText(name, sdl);
  return {
    name,
    owner: `team-${name}`,
    file: fileURLToPath(document.from),
    upstreams: {},
    openapi: {},
    clientTransforms: {},
    documents: [document],
    loaders: undefined,
    resolvers: {},
    routes: [],
    code: new Map(),
    transforms: [],
    policies: [],
    ...parts,
  };
}

interface Ran {
  readonly data: unknown;
  readonly errors: readonly { readonly path: unknown; readonly error: unknown }[];
  readonly request: RequestContext;
}

/** Runs an operation as the GraphQL door does, without HTTP around it. */
export async function run(execution: Execution, source: string, request = newRequest()): Promise<Ran> {
  const document = parse(source);
  const invalid = validate(execution.schema, document);
  if (invalid.length > 0) throw new AggregateError(invalid, invalid.join('\n'));
  const result = await execute({ schema: execution.schema, document, contextValue: execution.contextFor(request) });
  if (!('data' in result)) throw new TypeError('the result is incremental');
  return { ...plain(result), request };
}

/** Results as JSON would have them, and what was really thrown. */
export function plain({ data, errors = [] }: ExecutionResult): Pick<Ran, 'data' | 'errors'> {
  return {
    data: JSON.parse(JSON.stringify(data ?? null)) as unknown,
    errors: errors.map(({ path, cause }) => ({ path, error: cause })),
  };
}

/** @throws {Error} when the subscription cannot even begin */
export async function listen(
  execution: Execution,
  source: string,
  request = newRequest(),
): Promise<AsyncGenerator<ExecutionResult, void, void>> {
  const contextValue = execution.contextFor(request);
  const stream = await subscribe({ schema: execution.schema, document: parse(source), contextValue });
  if (!(Symbol.asyncIterator in stream)) throw new Error(JSON.stringify(stream));
  return stream;
}
