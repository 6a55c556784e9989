import { responsePathAsArray, type GraphQLResolveInfo } from 'graphql';
import type { RequestContext } from '#core/context.ts';
import { WeirError } from '#core/errors.ts';
import type { Standing } from '#core/reservation.ts';
import type { CacheOf } from '#upstreams/client/client.ts';
import type { StandIn } from './fallback.ts';
import type { Look } from './own-fields.ts';
import { watchedRequest } from './watched-request.ts';
import { ModuleScope, type ModuleRuntime } from './runtime.ts';

/** Where nobody is limited. */
export function unlimited(): readonly Standing[] {
  return [];
}

let requestOf: (context: ExecutionContext) => RequestContext;
let lookOf: (context: ExecutionContext) => ReturnType<Look>;

/** The request itself. Code of modules may come by an ExecutionContext, but not by this. */
export function incomingOf(context: ExecutionContext): RequestContext {
  return requestOf(context);
}

/** What the consumer has left: looked at once, however often it is asked for. */
export function standingsOf(context: ExecutionContext): ReturnType<Look> {
  return lookOf(context);
}

/** The `contextValue` of a GraphQL operation, and what answers a route by code: the request, and each module's view of it, made when first used. */
export class ExecutionContext {
  static {
    requestOf = (context) => context.#incoming;
    lookOf = (context) => (context.#standings ??= context.#look(context.#incoming));
  }

  readonly #incoming: RequestContext;
  readonly #cache: CacheOf | undefined;
  readonly #scopes = new Map<ModuleRuntime, ModuleScope>();
  readonly #look: Look;
  #watched: RequestContext | undefined;
  #standings: ReturnType<Look> | undefined;

  /**
   * @param cache how answers may be stored, where what asks says it; by the upstreams' settings when left out
   * @param look at what a consumer has left; nobody is limited when left out
   */
  constructor(request: RequestContext, cache?: CacheOf, look: Look = unlimited) {
    this.#incoming = request;
    this.#cache = cache;
    this.#look = look;
  }

  /** As code of modules sees it that is given this: a function in what a resolver gives, which GraphQL calls by itself. */
  get request(): RequestContext {
    return (this.#watched ??= watchedRequest(this.#incoming));
  }

  of(module: ModuleRuntime): ModuleScope {
    let scope = this.#scopes.get(module);
    if (!scope) {
      scope = new ModuleScope(module, this.#incoming, this.#cache);
      this.#scopes.set(module, scope);
    }
    return scope;
  }

  /** Forgets what was loaded, since it may have changed: after a mutation, and for each event of a subscription. */
  forget(): void {
    for (const scope of this.#scopes.values()) scope.forget();
  }

  /**
   * Takes the stand-in of a field that failed, and notes it.
   * @throws what is not the fault of an upstream
   */
  degrade(error: unknown, { upstream, value, served }: StandIn, info: GraphQLResolveInfo): unknown {
    if (!(error instanceof WeirError) || error.fault !== 'upstream') throw error;
    const request = this.#incoming;
    (request.degraded ??= []).push({
      path: responsePathAsArray(info.path),
      code: error.code,
      upstream: error.upstream ?? upstream,
      ...(served && { fallback: true }),
    });
    if (served) {
      request.fallback = true;
      served.add(1);
    }
    return value;
  }
}
