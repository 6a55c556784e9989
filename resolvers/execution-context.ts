import { responsePathAsArray, type GraphQLResolveInfo } from 'graphql';
import type { RequestContext } from '#core/context.ts';
import { WeirError } from '#core/errors.ts';
import type { StandIn } from './fallback.ts';
import { ModuleScope, type ModuleRuntime } from './runtime.ts';

/** The `contextValue` of a GraphQL operation: its request, and each module's view of it, made when first used. */
export class ExecutionContext {
  readonly request: RequestContext;
  readonly #scopes = new Map<ModuleRuntime, ModuleScope>();

  constructor(request: RequestContext) {
    this.request = request;
  }

  of(module: ModuleRuntime): ModuleScope {
    let scope = this.#scopes.get(module);
    if (!scope) {
      scope = new ModuleScope(module, this.request);
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
    const { request } = this;
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
