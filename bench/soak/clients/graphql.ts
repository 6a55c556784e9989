/** Clients of the GraphQL door. */
import type { Activity, Scene } from '../activity.ts';
import { ask, type Answer } from './exchange.ts';

const acrossServices =
  'query Q($n: Int!) { users(first: $n) { id orders(first: 3) { id items { product { name reviews(first: 2) { body author { name } } } } } } }';
const page =
  'query P($n: Int!, $after: String) { productsConnection(first: $n, after: $after) { totalCount edges { node { id name } cursor } pageInfo { endCursor } } }';
const place =
  'mutation M($input: PlaceOrderInput!) { placeOrder(input: $input) { id total { amount } user { name } } }';
const review = 'mutation R($input: AddReviewInput!) { addReview(input: $input) { id product { name } } }';
const later = 'query L($id: ID!) { user(id: $id) { name ... @defer(label: "orders") { orders(first: 3) { id } } } }';

interface Operation {
  readonly query: string;
  readonly variables: object;
}

/** Posts it, or several of them as a batch. */
function post(scene: Scene, operation: Operation | readonly Operation[], accept = 'application/json'): Promise<Answer> {
  return ask(scene, {
    method: 'POST',
    path: '/graphql',
    headers: { 'content-type': 'application/json', accept },
    body: JSON.stringify(operation),
  });
}

function query({ draw }: Scene): Operation {
  if (draw.next() < 0.5) return { query: acrossServices, variables: { n: draw.int(1, 10) } };
  return { query: page, variables: { n: draw.int(1, 50), after: null } };
}

/** A whole answer is JSON, with data or with errors that say why there is none. */
function check(scene: Scene, { ending, status, text }: Answer, count: number): void {
  if (ending !== 'answered' || status >= 500) return;
  const wrong = (why: string): void =>
    scene.tally.complain('a wrong answer to an operation', `${why}: ${status} ${text.slice(0, 300)}`);
  try {
    const parsed = JSON.parse(text) as Result | Result[];
    const results = Array.isArray(parsed) ? parsed : [parsed];
    if (results.length !== count) wrong(`${results.length} results for ${count}`);
    for (const { data, errors } of results)
      if (data === undefined && errors === undefined) wrong('neither data nor errors');
  } catch {
    wrong('no JSON');
  }
}

interface Result {
  readonly data?: unknown;
  readonly errors?: readonly unknown[];
}

export const graphql: readonly Activity[] = [
  {
    name: 'GraphQL queries',
    clients: 4,
    pauseMs: 40,
    run: async (scene) => check(scene, await post(scene, query(scene)), 1),
  },
  {
    name: 'GraphQL queries by GET',
    clients: 1,
    pauseMs: 40,
    run: async (scene) => {
      const { query: text, variables } = query(scene);
      const search = new URLSearchParams({ query: text, variables: JSON.stringify(variables) });
      check(
        scene,
        await ask(scene, { path: `/graphql?${search.toString()}`, headers: { accept: 'application/json' } }),
        1,
      );
    },
  },
  {
    name: 'GraphQL mutations',
    clients: 2,
    pauseMs: 80,
    run: async (scene) => {
      const { draw } = scene;
      const order = { userId: draw.int(1, 1_000), items: [{ productId: draw.int(1, 500), quantity: draw.int(1, 5) }] };
      const opinion = { productId: draw.int(1, 500), authorId: draw.int(1, 1_000), stars: 4, body: 'Soaked.' };
      const operation =
        draw.next() < 0.7
          ? { query: place, variables: { input: order } }
          : { query: review, variables: { input: opinion } };
      check(scene, await post(scene, operation), 1);
    },
  },
  {
    name: 'GraphQL batches',
    clients: 1,
    pauseMs: 150,
    run: async (scene) => {
      const operations = Array.from({ length: scene.draw.int(2, 8) }, () => query(scene));
      check(scene, await post(scene, operations), operations.length);
    },
  },
  {
    name: 'GraphQL @defer',
    clients: 2,
    pauseMs: 100,
    run: async (scene) => {
      const operation = { query: later, variables: { id: String(scene.draw.int(1, 1_000)) } };
      const accept = scene.draw.pick([
        'multipart/mixed;deferSpec=20220824, application/json',
        'multipart/mixed;incrementalSpec=v0.2, application/json',
      ]);
      const { ending, status, headers, text } = await post(scene, operation, accept);
      if (ending !== 'answered' || !headers['content-type']?.startsWith('multipart/')) return;
      if (!text.endsWith('-----\r\n'))
        scene.tally.complain('a multipart answer without an end', `${status} ${text.slice(-200)}`);
    },
  },
];
