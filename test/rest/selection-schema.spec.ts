/** What `/openapi.json` says that an operation gives, beside what it gives. */
import { readdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { Kind, OperationTypeNode, parse } from 'graphql';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SelectionSchema } from '#gateway/rest/operation/selection-schema.ts';
import { startShopGateway, type ShopGateway } from '../support/shop.ts';

const folder = resolve(import.meta.dirname, '../../resolvers/examples');
const texts = readdirSync(folder)
  .map((file) => readFileSync(resolve(folder, file), 'utf8'))
  .filter((text) => operationOf(text).operation === OperationTypeNode.QUERY);

const written = [
  '{ again: users(first: 2) { ...Whole } users(first: 1) { __typename orders { items { product { price { amount } } } } } } fragment Whole on User { id name orders(first: 2) { state ...Sum } } fragment Sum on Order { total { amount currency } }',
  'query ($with: Boolean = false) { products(first: 3) { id name @skip(if: $with) reviews(first: 2) @include(if: $with) { body stars author { name } } } }',
  '{ usersConnection(first: 2) { edges { cursor node { id } } pageInfo { hasNextPage endCursor } } order(id: 999999) { id user { name } } }',
  '{ __typename user(id: 7) { ... on User { id } ... { name } } }',
];

let shop: ShopGateway;

beforeAll(async () => {
  shop = await startShopGateway();
}, 60_000);

afterAll(() => shop.stop());

describe('JSON Schema of what an operation selects', () => {
  test.each([...texts, ...written])('is one of what it gives: %s', async (text) => {
    const document = parse(text);
    const operation = operationOf(text);
    const { schema } = shop.gateway.gateway.assembly.execution!;
    const root = schema.getRootType(operation.operation)!;
    const described = new SelectionSchema(schema, document).at(root, [operation.selectionSet], []);
    const check = new Ajv2020({ strict: false }).compile({ ...described, additionalProperties: false });
    const { data, errors } = await shop.query(text);
    expect(errors).toBeUndefined();
    expect([check(data), check.errors]).toEqual([true, null]);
  });
});

function operationOf(text: string) {
  return parse(text).definitions.find((definition) => definition.kind === Kind.OPERATION_DEFINITION)!;
}
