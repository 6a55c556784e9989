import { isObjectType, type GraphQLField, type GraphQLSchema } from 'graphql';
import { upstreamOf, type UpstreamField } from '#schema/directives.ts';
import type { Problem } from '#schema/problem.ts';
import type { Upstream } from '#upstreams/upstream.ts';
import { ownFields } from './own-fields.ts';
import type { ModuleRuntime } from './runtime.ts';

type Field = GraphQLField<unknown, unknown>;

/** What a declared load and its field's `@upstream` say differently: by the one calls are made, by the other they are priced. */
export function loaderProblem(
  { module, where, loaderSizes }: ModuleRuntime,
  path: string,
  field: Field,
  name: string,
  upstream: UpstreamField | undefined,
): Problem | undefined {
  const size = loaderSizes.get(name);
  if (!size) {
    const known = [...loaderSizes.keys()].join(', ') || 'none';
    const message = `module '${module.name}' loads ${path} with '${name}', which is none of its loaders`;
    return { where, message, fix: `name one that it has (${known}), or add it under loaders` };
  }
  const { batch } = size;
  if (!upstream) {
    const directive = `@upstream(name: "…"${batch === undefined ? '' : `, batch: ${batch}`})`;
    return {
      where: placeOf(field),
      message: `${path} is loaded with '${name}' of module '${module.name}', but does not say from which upstream`,
      fix: `add ${directive}`,
    };
  }
  if (upstream.batch === batch) return undefined;
  const said = upstream.batch === undefined ? 'has no batch' : `has batch: ${upstream.batch}`;
  const does = batch === undefined ? 'is made by each(), so every key is a call' : `has maxBatchSize: ${batch}`;
  return {
    where: placeOf(field),
    message: `${path} ${said} in @upstream, but its loader '${name}' in ${where} ${does}`,
    fix: batch === undefined ? 'leave batch out' : `write batch: ${batch}, or change maxBatchSize`,
  };
}

/** Fields that somebody must answer, and nobody does. */
export function unanswered(schema: GraphQLSchema, answered: ReadonlyMap<string, unknown>): Problem[] {
  const roots: ReadonlySet<unknown> = new Set([
    schema.getQueryType(),
    schema.getMutationType(),
    schema.getSubscriptionType(),
  ]);
  return fieldsOf(schema).flatMap(({ path, field, type }) => {
    const upstream = upstreamOf(schema, field);
    if (answered.has(path) || ownFields.has(path) || (!upstream && !roots.has(type))) return [];
    const message = `nothing resolves ${path}${upstream ? `, which '${upstream.name}' should answer` : ''}`;
    return [{ where: placeOf(field), message, fix: 'add it under resolvers of the module' }];
  });
}

/** `@upstream` of upstreams that do not exist, or that asks for what is not built. */
export function upstreamProblems(schema: GraphQLSchema, upstreams: ReadonlyMap<string, Upstream>): Problem[] {
  return fieldsOf(schema).flatMap(({ path, field }) => {
    const upstream = upstreamOf(schema, field);
    const where = placeOf(field);
    const problems: Problem[] = [];
    if (upstream && !upstreams.has(upstream.name)) {
      const message = `${path} names the upstream '${upstream.name}', which does not exist`;
      problems.push({ where, message, fix: `correct the name (there is ${[...upstreams.keys()].join(', ')})` });
    }
    if (upstream?.batch !== undefined && upstream.batch < 1) {
      problems.push({ where, message: `${path} has batch: ${upstream.batch}`, fix: 'write 1 or more' });
    }
    return problems;
  });
}

function fieldsOf(schema: GraphQLSchema) {
  return Object.values(schema.getTypeMap())
    .filter(isObjectType)
    .filter(({ name }) => !name.startsWith('__'))
    .flatMap((type) =>
      Object.values(type.getFields()).map((field) => ({ type, field, path: `${type.name}.${field.name}` })),
    );
}

/** Where SDL says it. */
export function placeOf({ astNode, name }: Field): string {
  const loc = astNode?.loc;
  return loc ? `${loc.source.name}:${loc.startToken.line}` : name;
}
