import type { GraphQLFieldResolver, GraphQLResolveInfo } from 'graphql';
import type { Key } from '#upstreams/loaders/loader.ts';
import { untilCancelled } from '#upstreams/cancelled.ts';
import type { ExecutionContext } from './execution-context.ts';
import type { StandIn } from './fallback.ts';
import type { Load } from './load.ts';
import type { ModuleRuntime, ModuleScope } from './runtime.ts';

/** What runs behind a field, made once at boot from what its module says. */
export type FieldResolver = GraphQLFieldResolver<unknown, ExecutionContext, unknown>;

/** As a module writes it. */
export type ModuleFunction = (parent: unknown, args: unknown, scope: ModuleScope, info: GraphQLResolveInfo) => unknown;

function isPromise(value: unknown): value is Promise<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}

export function loadField({ loader, key, params }: Load<unknown, unknown>, module: ModuleRuntime): FieldResolver {
  const keyOf =
    typeof key === 'function'
      ? key
      : (parent: unknown) => (parent as Readonly<Record<string, Key | null | undefined>>)[key];
  return (parent, args, context) => {
    const wanted = keyOf(parent, args);
    if (wanted === null || wanted === undefined) return null;
    return context.of(module).load(loader, wanted, params(args));
  };
}

/** A function that may wait for anything waits no longer than the request. One that has its answer at once costs no promise. */
export function functionField(run: ModuleFunction, module: ModuleRuntime, upstream: string | undefined): FieldResolver {
  return (parent, args, context, info) => {
    const result = run(parent, args, context.of(module), info);
    return isPromise(result) ? untilCancelled(result, upstream, context.request, module.clock) : result;
  };
}

/** The stand-in and a note in place of an error, where an upstream is at fault. */
export function standInField(resolve: FieldResolver, standIn: StandIn): FieldResolver {
  return (parent, args, context, info) => {
    try {
      const result = resolve(parent, args, context, info);
      return isPromise(result) ? result.catch((error: unknown) => context.degrade(error, standIn, info)) : result;
    } catch (error) {
      return context.degrade(error, standIn, info);
    }
  };
}

/** What follows a mutation, in its own selection or in the next root field, sees what it has done. */
export function mutationField(resolve: FieldResolver): FieldResolver {
  return (parent, args, context, info) => {
    const result = resolve(parent, args, context, info);
    if (isPromise(result)) return result.finally(() => context.forget());
    context.forget();
    return result;
  };
}
