import { parse, validate, type GraphQLSchema, type OperationDefinitionNode } from 'graphql';
import { priceDocument, type ItemizedPrice } from '#policies/cost/cost.ts';
import type { CostSettings } from '#policies/cost/settings.ts';
import { schemaOf } from '#resolvers/schema-of.ts';
import { withIncrementalDelivery } from '#gateway/graphql/schema.ts';
import { sdlText } from '../modules/harness.ts';

/** A schema of one module, which stands in no file. */
export function schemaFrom(sdl: string): GraphQLSchema {
  const { schema, problems } = schemaOf([{ name: 'test', documents: [sdlText('test', sdl)] }]);
  if (!schema) throw new Error(problems.map(({ message }) => message).join('\n'));
  return withIncrementalDelivery(schema);
}

/** As in an empty file, but objects cost nothing unless a test says so. */
const settings: CostSettings = {
  maxCost: 500_000,
  maxCostPerUpstream: {},
  nodeCost: 0,
  defaultListSize: 100,
};

/** The price of the one operation of a document. */
export function priceOf(
  schema: GraphQLSchema,
  source: string,
  options: { readonly settings?: Partial<CostSettings>; readonly weights?: Readonly<Record<string, number>> } = {},
): ItemizedPrice {
  const document = parse(source);
  const invalid = validate(schema, document);
  if (invalid.length > 0) throw new AggregateError(invalid, invalid.join('\n'));
  const prices = new Map<OperationDefinitionNode, ItemizedPrice>();
  priceDocument(
    { document, prices },
    {
      schema,
      settings: { ...settings, ...options.settings },
      weightOf: (upstream) => (options.weights?.[upstream] ?? 1) * 1_000,
    },
  );
  const [price] = prices.values();
  if (!price) throw new Error('the document has no operation');
  return price;
}

/** What an operation is estimated to cost, in calls. */
export function costOf(
  schema: GraphQLSchema,
  source: string,
  variables: Readonly<Record<string, unknown>> = {},
  options?: Parameters<typeof priceOf>[2],
): number {
  return priceOf(schema, source, options).estimate(variables).total / 1_000;
}
