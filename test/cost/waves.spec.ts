import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createExecution } from '#resolvers/execution.ts';
import { load } from '#resolvers/load.ts';
import { batch } from '#upstreams/loaders/loader.ts';
import { byName, moduleOf, run, upstreamAt } from '../modules/harness.ts';
import { priceOf, schemaFrom } from './pricing.ts';

const sdl = `
  extend type Query {
    node(id: Int!): Node @upstream(name: "nodes", batch: 2)
    row(first: Int!): [Node!] @listSize(slicingArguments: ["first"])
  }
  type Node {
    id: Int!
    peer: Node @upstream(name: "nodes", batch: 2)
    children(first: Int!): [Node!] @upstream(name: "nodes", batch: 3) @listSize(slicingArguments: ["first"])
  }
`;

/** So few nodes that fields keep asking for the same ones, and loaders that answer when they like. */
const nodes = 12;

interface Node {
  readonly id: number;
}

/** @param delays of the calls, in milliseconds, over and over */
function moduleWith(delays: readonly number[], called: () => void) {
  let turn = 0;
  const answer = async <T>(value: T): Promise<T> => {
    called();
    await new Promise((resolve) => setTimeout(resolve, delays[turn++ % delays.length]));
    return value;
  };
  return moduleOf('nodes', sdl, {
    upstreams: { nodes: {} },
    loaders: () => ({
      byId: batch({ maxBatchSize: 2 }, (ids: readonly number[]) => answer(ids.map((id) => ({ id })))),
      children: batch({ maxBatchSize: 3 }, (ids: readonly number[], { params }: { params: { first: number } }) =>
        answer(ids.map((id) => Array.from({ length: params.first }, (_, place) => ({ id: (id * 5 + place) % nodes })))),
      ),
    }),
    resolvers: {
      Query: {
        node: load('byId', { key: (_, args) => (args as Node).id }),
        row: (_: unknown, { first }: { first: number }) => Array.from({ length: first }, (_one, id) => ({ id })),
      },
      Node: {
        peer: load('byId', { key: (node) => ((node as Node).id * 7 + 1) % nodes }),
        children: load('children', {
          key: (node) => (node as Node).id,
          params: (args) => ({ first: (args as { first: number }).first }),
        }),
      },
    },
  });
}

const below = fc.letrec<{ readonly node: string }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.constant('{ id }'),
    tie('node').map((selection) => `{ id peer ${selection} }`),
    fc
      .tuple(fc.integer({ min: 1, max: 3 }), tie('node'))
      .map(([first, selection]) => `{ children(first: ${first}) ${selection} }`),
    fc.tuple(tie('node'), tie('node')).map(([one, other]) => `{ peer ${one} children(first: 2) ${other} }`),
  ),
})).node;

const root = fc.oneof(
  fc.tuple(fc.integer({ min: 0, max: nodes - 1 }), below).map(([id, selection]) => `node(id: ${id}) ${selection}`),
  fc.tuple(fc.integer({ min: 1, max: 7 }), below).map(([first, selection]) => `row(first: ${first}) ${selection}`),
);

const operation = fc
  .array(root, { minLength: 1, maxLength: 3 })
  .map((fields) => `{ ${fields.map((field, index) => `f${index}: ${field}`).join(' ')} }`);

describe("The budget's law, where calls answer when they like and fields ask for the same objects", () => {
  test('no operation takes more calls than it was estimated to', { timeout: 300_000 }, async () => {
    const schema = schemaFrom(sdl);
    const upstreams = byName(upstreamAt('nodes', 'http://127.0.0.1:9'));
    const delays = fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 9 });
    await fc.assert(
      fc.asyncProperty(operation, delays, async (query, pattern) => {
        let calls = 0;
        const execution = createExecution([moduleWith(pattern, () => calls++)], upstreams);
        const { errors } = await run(execution, query);
        expect(errors).toEqual([]);
        const estimated = priceOf(schema, query).estimate({}).total / 1_000;
        expect(calls, `${calls} calls of ${estimated}`).toBeLessThanOrEqual(estimated);
      }),
      { numRuns: 150 },
    );
  });
});
