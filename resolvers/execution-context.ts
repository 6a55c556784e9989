import { responsePathAsArray, type GraphQLResolveInfo } from 'graphql';
import type { RequestContext } from '#core/context.ts';
import { WeirError } from '#core/errors.ts';
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
   * Takes null for an optional field that failed, and notes it.
   * @throws what is not the fault of an upstream
   */
  degrade(error: unknown, upstream: string, info: GraphQLResolveInfo): null {
    if (!(error instanceof WeirError) || error.fault !== 'upstream') throw error;
    const note = { path: responsePathAsArray(info.path), code: error.code, upstream: error.upstream ?? upstream };
    (this.request.degraded ??= []).push(note);
    return null;
  }
}
