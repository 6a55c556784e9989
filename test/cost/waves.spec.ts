import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createExecution } from '#resolvers/execution.ts';
import { load } from '#resolvers/load.ts';
import { batch } from '#upstreams/loaders/loader.ts';
import { byName, moduleOf, run, upstreamAt } from '../modules/harness.ts';
import { priceOf, schemaFrom } from './pricing.ts';

const sdlWith = (byId: number, children: number) => `
  extend type Query {
    node(id: Int!): Node @upstream(name: "nodes", batch: ${byId})
    row(first: Int!): [Node!] @listSize(slicingArguments: ["first"])
  }
  type Node {
    id: Int!
    peer: Node @upstream(name: "nodes", batch: ${byId})
    children(first: Int!): [Node!] @upstream(name: "nodes", batch: ${children}) @listSize(slicingArguments: ["first"])
  }
`;

/** So few nodes that fields keep asking for the same ones, and loaders that answer when they like. */
const nodes = 12;

interface Node {
  readonly id: number;
}

interface Sizes {
  readonly byId: number;
  readonly children: number;
}

/** @param answering when a call is answered, by its place in the order of calls */
function moduleWith({ byId, children }: Sizes, answering: (call: number) => Promise<unknown>) {
  let calls = 0;
  const answer = async <T>(value: T): Promise<T> => {
    await answering(calls++);
    return value;
  };
  return moduleOf('nodes', sdlWith(byId, children), {
    upstreams: { nodes: {} },
    loaders: () => ({
      byId: batch({ maxBatchSize: byId }, (ids: readonly number[]) => answer(ids.map((id) => ({ id })))),
      children: batch({ maxBatchSize: children }, (ids: readonly number[], { params }: { params: { first: number } }) =>
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

const upstreams = () => byName(upstreamAt('nodes', 'http://127.0.0.1:9'));

function estimated({ byId, children }: Sizes, query: string): number {
  return priceOf(schemaFrom(sdlWith(byId, children)), query).estimate({}).total / 1_000;
}

describe("The budget's law, where calls answer when they like and fields ask for the same objects", () => {
  test('no operation takes more calls than it was estimated to', { timeout: 300_000 }, async () => {
    const delays = fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 9 });
    const size = fc.constantFrom(2, 3, 100);
    const known = upstreams();
    await fc.assert(
      fc.asyncProperty(operation, delays, size, size, async (query, pattern, byId, children) => {
        let calls = 0;
        const delay = async (call: number) => {
          calls++;
          await new Promise((resolve) => setTimeout(resolve, pattern[call % pattern.length]));
        };
        const execution = createExecution([moduleWith({ byId, children }, delay)], known);
        const { errors } = await run(execution, query);
        expect(errors).toEqual([]);
        expect(calls).toBeLessThanOrEqual(estimated({ byId, children }, query));
      }),
      { numRuns: 100 },
    );
  });

  test('objects that are on their way for another field arrive when that one has them, which is one wave more', async () => {
    const query =
      '{ other: node(id: 8) { id } row(first: 1) { children(first: 2) { peer { children(first: 1) { id } } } } }';
    const sizes = { byId: 100, children: 100 };
    // The peers are 1 and 8. While 8 is on its way for `other`, 1 is answered, and its children are asked for alone.
    const asked = Promise.withResolvers<void>();
    let calls = 0;
    const answering = async (call: number) => {
      calls++;
      if (call === 3) asked.resolve();
      if (call === 0) await asked.promise;
    };
    const { errors } = await run(createExecution([moduleWith(sizes, answering)], upstreams()), query);
    expect(errors).toEqual([]);
    expect(calls).toBe(5);
    expect(estimated(sizes, query)).toBeGreaterThanOrEqual(5);
  });
});
