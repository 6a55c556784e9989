import type { GraphQLFieldResolver, GraphQLResolveInfo } from 'graphql';
import { leftOutError } from '#policies/cost/enforce.ts';
import { untilCancelled } from '#upstreams/cancelled.ts';
import type { Key } from '#upstreams/loaders/loader.ts';
import { withPurpose, type FieldCaching } from '#upstreams/purpose.ts';
import { incomingOf, type ExecutionContext } from './execution-context.ts';
import type { StandIn } from './fallback.ts';
import { FieldPurpose } from './field-purpose.ts';
import type { Load } from './load.ts';
import type { ModuleRuntime, ModuleScope } from './runtime.ts';
import { timesRead } from './watched-request.ts';

/** What runs behind a field, made once at boot from what its module says. */
export type FieldResolver = GraphQLFieldResolver<unknown, ExecutionContext, unknown>;

/** As a module writes it. */
export type ModuleFunction = (parent: unknown, args: unknown, scope: ModuleScope, info: GraphQLResolveInfo) => unknown;

function isPromise(value: unknown): value is Promise<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}

export function loadField(
  { loader, key, params }: Load<unknown, unknown>,
  module: ModuleRuntime,
  caching: FieldCaching | undefined,
): FieldResolver {
  const keyOf =
    typeof key === 'function'
      ? key
      : (parent: unknown) => (parent as Readonly<Record<string, Key | null | undefined>>)[key];
  return (parent, args, context, { path }) => {
    const before = timesRead();
    const wanted = keyOf(parent, args);
    if (wanted === null || wanted === undefined) return null;
    const given = params(args);
    // They are not given the request, but a parent may have it.
    return context.of(module).load(loader, wanted, given, caching, path, timesRead() !== before);
  };
}

/** A function that calls upstreams, or of whose answers SDL says how they may be kept. */
export function purposefulField(
  run: ModuleFunction,
  module: ModuleRuntime,
  upstream: string | undefined,
  name: string,
  caching: FieldCaching | undefined,
): FieldResolver {
  return (parent, args, context, info) => {
    const purpose = new FieldPurpose(name, caching, info.path, incomingOf(context));
    const result = withPurpose(purpose, run, parent, args, context.of(module), info);
    return isPromise(result) ? untilCancelled(result, upstream, incomingOf(context), module.clock) : result;
  };
}

/** A function that may wait for anything waits no longer than the request. One that has its answer at once costs no promise. */
export function functionField(run: ModuleFunction, module: ModuleRuntime): FieldResolver {
  return (parent, args, context, info) => {
    const result = run(parent, args, context.of(module), info);
    return isPromise(result) ? untilCancelled(result, undefined, incomingOf(context), module.clock) : result;
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

/**
 * Leaves the field out where its upstream would cost the operation too much, and tells its calls apart from others where
 * somebody wants to know. For all other operations it is two looks.
 */
export function watchedField(resolve: FieldResolver, upstream: string | undefined): FieldResolver {
  return (parent, args, context, info) => {
    const { leftOut, calls } = incomingOf(context);
    if (leftOut !== undefined && upstream !== undefined && leftOut.has(upstream)) throw leftOutError(upstream);
    if (calls.trace === undefined) return resolve(parent, args, context, info);
    const field = `${info.parentType.name}.${info.fieldName}`;
    return calls.trace.within(pathOf(info), field, () => resolve(parent, args, context, info));
  };
}

/** Response keys with dots, without the indices of lists. */
function pathOf({ path }: GraphQLResolveInfo): string {
  const keys: string[] = [];
  for (let at: GraphQLResolveInfo['path'] | undefined = path; at; at = at.prev)
    if (typeof at.key === 'string') keys.push(at.key);
  return keys.toReversed().join('.');
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
