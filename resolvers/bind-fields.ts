import { isEnumType, isObjectType, isScalarType, type GraphQLSchema } from 'graphql';
import type { ResolverMap } from '#schema/build.ts';
import { upstreamOf } from '#schema/directives.ts';
import type { Problem } from '#schema/problem.ts';
import type { Upstream } from '#upstreams/upstream.ts';
import type { ExecutionContext } from './execution-context.ts';
import { StandIns } from './fallback.ts';
import { fieldCaching } from './field-caching.ts';
import { loaderProblem } from './field-problems.ts';
import {
  functionField,
  loadField,
  mutationField,
  purposefulField,
  standInField,
  watchedField,
  type ModuleFunction,
} from './fields.ts';
import { isLoad } from './load.ts';
import { ownFields, ownResolvers } from './own-fields.ts';
import type { ModuleRuntime } from './runtime.ts';
import { subscriptionField } from './subscription.ts';

/** What runs behind each field of the schema, and what does not fit. */
export interface BoundFields {
  readonly resolvers: ResolverMap<ExecutionContext>;
  /** By `Type.field`, whoever answers for it. */
  readonly answeredBy: ReadonlyMap<string, ModuleRuntime>;
  readonly problems: readonly Problem[];
}

type Bound = object | Problem;

/** Puts what the modules wrote behind the fields of the schema, made ready to run. */
export function bindFields(
  schema: GraphQLSchema,
  modules: readonly ModuleRuntime[],
  upstreams: ReadonlyMap<string, Upstream>,
): BoundFields {
  const standIns = new StandIns(schema, modules, upstreams);
  const resolvers: Record<string, Record<string, object>> = schema.getQueryType() ? ownResolvers() : {};
  const problems: Problem[] = [];
  const answeredBy = new Map<string, ModuleRuntime>();
  for (const runtime of modules) {
    for (const [typeName, members = {}] of Object.entries(runtime.module.resolvers)) {
      const type = schema.getType(typeName);
      if (isScalarType(type) || isEnumType(type)) {
        resolvers[typeName] = members as Record<string, object>;
        continue;
      }
      for (const [name, value] of Object.entries(members)) {
        const path = `${typeName}.${name}`;
        const other = answeredBy.get(path);
        const bound = ownFields.has(path)
          ? resolvedByGateway(path, runtime)
          : other
            ? resolvedTwice(path, runtime, other)
            : bindField(schema, runtime, standIns, path, value);
        answeredBy.set(path, runtime);
        if ('fix' in bound) problems.push(bound);
        else (resolvers[typeName] ??= {})[name] = bound;
      }
    }
  }
  return { resolvers, answeredBy, problems };
}

function bindField(
  schema: GraphQLSchema,
  runtime: ModuleRuntime,
  standIns: StandIns,
  path: string,
  value: unknown,
): Bound {
  const { where, module } = runtime;
  const [typeName, name] = path.split('.') as [string, string];
  const type = schema.getType(typeName);
  // __resolveType and __isTypeOf ask for nothing that would have to be wrapped.
  if (type && name.startsWith('__') && typeof value === 'function') return value;
  const field = isObjectType(type) ? type.getFields()[name] : undefined;
  if (!field) {
    const known = isObjectType(type)
      ? `${typeName} has ${Object.keys(type.getFields())
          .filter((member) => !ownFields.has(`${typeName}.${member}`))
          .join(', ')}`
      : 'there is no such object type';
    const message = `module '${module.name}' resolves ${path}, which does not exist`;
    return { where, message, fix: `correct the name (${known}), or add the field in SDL` };
  }
  const upstream = upstreamOf(schema, field);
  const standIn = upstream && standIns.of(typeName, field, upstream);
  if (standIn && 'fix' in standIn) return standIn;
  const caching = fieldCaching(schema, typeName, field, upstream);
  if (caching && 'fix' in caching) return caching;
  if (isLoad(value)) {
    const problem = loaderProblem(runtime, path, field, value.loader, upstream);
    if (problem) return problem;
    if (upstream) runtime.upstreamOfLoader.set(value.loader, upstream.name);
  } else if (typeof value !== 'function') {
    return {
      where,
      message: `module '${module.name}' resolves ${path} by neither a function nor load(…)`,
      fix: 'write one of them',
    };
  } else if (type === schema.getSubscriptionType()) {
    return subscriptionField(value as ModuleFunction, runtime);
  }
  const resolve = isLoad(value)
    ? loadField(value, runtime, caching)
    : upstream || caching
      ? purposefulField(value as ModuleFunction, runtime, upstream?.name, path, caching)
      : functionField(value as ModuleFunction, runtime);
  const made = type === schema.getMutationType() ? mutationField(resolve) : resolve;
  return watchedField(standIn ? standInField(made, standIn) : made, upstream?.name);
}

function resolvedByGateway(path: string, { module, where }: ModuleRuntime): Problem {
  return {
    where,
    message: `module '${module.name}' resolves ${path}, which the gateway answers itself`,
    fix: 'leave it out',
  };
}

function resolvedTwice(path: string, runtime: ModuleRuntime, other: ModuleRuntime): Problem {
  const message = `module '${runtime.module.name}' resolves ${path}, which module '${other.module.name}' (${other.where}) resolves too`;
  return { where: runtime.where, message, fix: 'keep it in one of them' };
}
