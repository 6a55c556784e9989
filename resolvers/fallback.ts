import { isEnumType, isScalarType, type GraphQLField, type GraphQLSchema } from 'graphql';
import type { Counter } from '#core/meter.ts';
import type { UpstreamField } from '#schema/directives.ts';
import { readFallback, type BehindTypes } from '#schema/fallback.ts';
import type { Problem } from '#schema/problem.ts';
import { fallbackCounter } from '#upstreams/fallbacks.ts';
import type { Upstream } from '#upstreams/upstream.ts';
import { placeOf } from './field-problems.ts';
import type { ModuleRuntime } from './runtime.ts';

/** What a field is instead of what its upstream did not give. */
export interface StandIn {
  readonly upstream: string;
  readonly value: unknown;
  /** Counts how often the field's `fallback` stands in; none for null, which is what an `optional` field is. */
  readonly served: Counter | undefined;
}

/** What stands in for fields whose upstream fails, read once, at boot. */
export class StandIns {
  /** The root types whose fields can have none, and why. */
  readonly #notReading: ReadonlyMap<string | undefined, string>;
  readonly #upstreams: ReadonlyMap<string, Upstream>;
  readonly #behind: BehindTypes;

  constructor(schema: GraphQLSchema, modules: readonly ModuleRuntime[], upstreams: ReadonlyMap<string, Upstream>) {
    this.#notReading = new Map([
      [schema.getMutationType()?.name, 'which would claim that something was done'],
      [schema.getSubscriptionType()?.name, 'but no value stands in for a stream of events'],
    ]);
    this.#upstreams = upstreams;
    this.#behind = behindTypes(schema, modules);
  }

  /** @returns undefined for a field that just fails, a problem for a fallback that cannot stand in */
  of(typeName: string, field: GraphQLField<unknown, unknown>, upstream: UpstreamField): StandIn | Problem | undefined {
    const { name, optional, fallback } = upstream;
    if (fallback === undefined) return optional ? { upstream: name, value: null, served: undefined } : undefined;
    const where = placeOf(field);
    const path = `${typeName}.${field.name}`;
    const wrong = this.#notReading.get(typeName);
    if (wrong !== undefined)
      return {
        where,
        message: `${path} has a fallback, ${wrong}`,
        fix: 'remove it: clients must be told that it failed',
      };
    const read = readFallback(fallback, field.type, this.#behind);
    if ('misfits' in read) {
      const message = `${path} has a fallback that does not fit: ${read.misfits.join('; ')}`;
      return { where, message, fix: `write JSON of the type ${String(field.type)}` };
    }
    const known = this.#upstreams.get(name);
    return { upstream: name, value: read.value, served: known && fallbackCounter(known, { 'weir.field': path }) };
  }
}

function behindTypes(schema: GraphQLSchema, modules: readonly ModuleRuntime[]): BehindTypes {
  const leaves = new Map<string, object>();
  const answered = new Set<string>();
  for (const { module } of modules) {
    for (const [typeName, members = {}] of Object.entries(module.resolvers)) {
      const type = schema.getType(typeName);
      if (isScalarType(type) || isEnumType(type)) leaves.set(typeName, members);
      else for (const name of Object.keys(members)) answered.add(`${typeName}.${name}`);
    }
  }
  return { leaves, answered };
}
