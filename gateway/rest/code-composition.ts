import type { RequestContext } from '#core/context.ts';
import { toWeirError, WeirError } from '#core/errors.ts';
import { hopByHop, type Headers } from '#core/headers.ts';
import { perCall } from '#core/price.ts';
import { systemClock } from '#core/clock.ts';
import { ExecutionContext } from '#resolvers/execution-context.ts';
import type { LoaderOfModule } from '#resolvers/module-runtimes.ts';
import { Parts, refusalOfCall, type PartScope, type PartTerms } from '#resolvers/parts.ts';
import { RouteAnswer, type RouteCode, type RunPart } from '#resolvers/route.ts';
import type { ModuleRuntime } from '#resolvers/runtime.ts';
import type { CacheOf } from '#upstreams/client/client.ts';
import { parseDuration } from '#core/duration.ts';
import type { Key } from '#upstreams/loaders/loader.ts';
import { noParams, type Params } from '#upstreams/loaders/params.ts';
import type { Upstream } from '#upstreams/upstream.ts';
import type { UpstreamDocument } from '#gateway/contract/documents.ts';
import { enforceDeadline } from '#gateway/graphql/cancellation.ts';
import { sendComposed } from './composed-answer.ts';
import type { Composition } from './composed-route.ts';

/** The code of a module that answers a route. */
export class CodeComposition implements Composition {
  readonly tag: string;
  readonly document: UpstreamDocument | undefined;
  /** One call of each of the module's upstreams; what was called is what is paid in the end. */
  readonly cost: number;
  readonly #code: RouteCode;
  readonly #runtime: ModuleRuntime;
  readonly #loaders: ReadonlyMap<string, LoaderOfModule>;
  readonly #cache: CacheOf;

  constructor(
    code: RouteCode,
    runtime: ModuleRuntime,
    options: {
      readonly upstreams: ReadonlyMap<string, Upstream>;
      /** Those that it uses, by `module.loader`. */
      readonly loaders: ReadonlyMap<string, LoaderOfModule>;
      readonly cache: CacheOf;
      readonly document: UpstreamDocument | undefined;
    },
  ) {
    this.#code = code;
    this.#runtime = runtime;
    this.#loaders = options.loaders;
    this.#cache = options.cache;
    this.document = options.document;
    this.tag = runtime.module.name;
    const called = new Set([
      ...Object.keys(runtime.module.upstreams),
      ...[...options.loaders.values()].flatMap(({ upstream }) => upstream ?? []),
    ]);
    this.cost = [...called].reduce((sum, name) => sum + (options.upstreams.get(name)?.settings.weight ?? perCall), 0);
  }

  async answer(context: RequestContext): Promise<void> {
    const parts = new Parts(context);
    const inTime = enforceDeadline(context, systemClock);
    let made: unknown;
    try {
      made = await this.#run(context, parts);
    } catch (thrown) {
      // What else is required may have failed as well, and is part of what is told.
      await Promise.race([parts.required(), cancelled(context).catch(() => undefined)]);
      parts.giveUp();
      throw parts.refusal ?? seenFromOutside(thrown);
    } finally {
      inTime();
    }
    // What nobody has waited for is not part of the answer.
    parts.giveUp();
    const { status, body, headers } =
      made instanceof RouteAnswer ? made : { status: undefined, body: made, headers: {} };
    sendComposed(context, { status, body, headers: { ...ownFields(headers), ...parts.completed() } });
  }

  /** Runs the code, but no longer than the request lasts. */
  #run(context: RequestContext, parts: Parts): Promise<unknown> {
    const scopes = new ExecutionContext(context, this.#cache);
    const scope = scopes.of(this.#runtime);
    const given = {
      request: context,
      params: decodedParams(context),
      query: new URLSearchParams(context.query),
      part: runPart(parts),
      load: (name: string, key: Key, params: Params = noParams) => {
        const found = this.#loaders.get(name);
        if (!found) throw new TypeError(`the route does not say that it uses the loader '${name}'`);
        return scopes.of(found.runtime).load(found.loader, key, params, undefined, undefined);
      },
      get signal() {
        return scope.signal;
      },
      get clients() {
        return scope.clients;
      },
      get loaders() {
        return scope.loaders;
      },
    };
    const answer = this.#code.answer as (context: unknown) => unknown;
    return Promise.race([Promise.resolve().then(() => answer(given)), cancelled(context)]);
  }
}

function cancelled({ cancellation }: RequestContext): Promise<never> {
  return new Promise((_, reject) => void cancellation.on(reject));
}

function runPart(parts: Parts): RunPart {
  type Work = (scope: PartScope) => Promise<unknown>;
  const run = (name: string, second: object, third?: Work): Promise<unknown> => {
    const work = (third ?? second) as Work;
    const { optional, fallback, timeout } = (third ? second : {}) as PartTerms & { readonly timeout?: string };
    const timeoutMs = timeout === undefined ? undefined : parseDuration(timeout);
    const terms = {
      name,
      timeoutMs,
      ...(optional !== undefined && { optional }),
      ...(fallback !== undefined && { fallback }),
    };
    return parts.run(terms, async (scope) => work(scope));
  };
  return run;
}

/** A status of a service that code did not look at is told as a part's would be; what code throws itself is what it says. */
function seenFromOutside(thrown: unknown): WeirError {
  const error = toWeirError(thrown);
  return error.code === 'UPSTREAM_ERROR' ? refusalOfCall(error) : error;
}

function decodedParams({ pathParts }: RequestContext): Record<string, string> {
  const params: Record<string, string> = {};
  for (const name in pathParts) {
    const part = pathParts[name];
    if (part !== undefined) params[name] = decoded(part);
  }
  return params;
}

/** @throws {WeirError} `BAD_REQUEST` for what is no encoding (RFC 3986 §2.1) */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch (cause) {
    throw new WeirError('BAD_REQUEST', { detail: 'The path has a percent sign that encodes nothing.', cause });
  }
}

/** Framing is each hop's own, and what is said of the gateway is the gateway's. */
const notOwn =
  /^(content-length|content-encoding|date|server|via|x-request-id|proxy-status|cache-status|ratelimit.*|x-weir-.*|access-control-.*)$/;

function ownFields(stated: Readonly<Record<string, string>>): Headers {
  const headers: Headers = {};
  for (const name in stated) {
    const lower = name.toLowerCase();
    if (hopByHop.has(lower) || notOwn.test(lower))
      throw new TypeError(`the answer of a route sets the header '${name}', which the gateway writes itself`);
    headers[lower] = stated[name];
  }
  return headers;
}
