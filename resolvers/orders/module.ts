import {
  batch,
  connection,
  defineModule,
  defineUpstream,
  groupBy,
  indexBy,
  load,
  sdl,
  WeirError,
  type Loading,
} from '#resolvers/index.ts';
import type { components, paths } from './generated/orders-v2.ts';
import { ordersV2ToV1 } from './v2.ts';

const money = {
  type: 'object',
  required: ['amount', 'currency'],
  properties: { amount: { type: 'integer' }, currency: { type: 'string' } },
};

const homeSchema = {
  type: 'object',
  required: ['greeting', 'orders', 'buyAgain'],
  properties: {
    greeting: { type: 'string' },
    orders: {
      description: 'The newest three.',
      type: 'array',
      items: {
        type: 'object',
        required: ['id', 'state', 'total'],
        properties: { id: { type: 'string' }, state: { type: 'string' }, total: money },
      },
    },
    buyAgain: {
      type: 'array',
      items: {
        type: 'object',
        required: ['id', 'name'],
        properties: { id: { type: 'string' }, name: { type: 'string' } },
      },
    },
  },
};

export const orders = defineModule({
  name: 'orders',
  owner: 'team-orders',
  upstreams: {
    orders: defineUpstream<paths>(import.meta, {
      openapi: '../../examples/shop/services/orders/openapi.yaml',
      transform: 'orders-v2-to-v1',
      health: { path: '/health' },
    }),
  },
  typeDefs: sdl(import.meta, './orders.graphql'),
  loaders: ({ clients }) => ({
    byId: batch({ maxBatchSize: 100 }, async (ids, { signal }) => {
      const found = await clients.orders.get('/orders', { query: { ids }, signal });
      return indexBy(found.items, (order) => order.id);
    }),
    byUser: batch({ maxBatchSize: 100 }, async (userIds, { params, signal }: Loading<{ first: number }>) => {
      const query = { userIds, first: params.first };
      const found = await clients.orders.get('/orders', { query, signal });
      return groupBy(found.items, (order) => order.userId);
    }),
  }),
  resolvers: {
    Query: {
      ordersConnection: async (_, { first, after }, { clients }) =>
        connection(await clients.orders.get('/orders', { query: { first, after } }), after),
      order: load('byId', { key: (_, { id }) => id }),
    },
    User: { orders: load('byUser', { key: 'id', params: ({ first }) => ({ first }) }) },
    Mutation: {
      placeOrder: (_, { input: { userId, items, idempotencyKey } }, { clients }) =>
        clients.orders.post('/orders', {
          body: { userId, items },
          ...(idempotencyKey && { headers: { 'idempotency-key': idempotencyKey } }),
        }),
    },
    Subscription: {
      async *orderEvents(_, { userId }, { clients }) {
        for await (const event of clients.orders.events('/orders/events', { query: { userId } })) {
          yield event.json() as components['schemas']['OrderEvent'];
        }
      },
    },
  },
  transforms: [ordersV2ToV1],
  routes: (route) => [
    route.get('/v2/home/:userId', {
      name: 'home',
      timeout: '2s',
      uses: ['users.byId', 'catalog.byId'],
      openapi: { summary: 'What a user sees first', schema: homeSchema },
      answer: async ({ params: { userId }, loaders, load: loadBy, part }) => {
        const [user, recent] = await Promise.all([
          part('user', () => loadBy<{ name: string } | null>('users.byId', userId)),
          part('orders', () => loaders.byUser.load(userId, { first: 3 })),
        ]);
        if (!user) throw new WeirError('PART_NOT_FOUND', { detail: 'There is no such user.' });
        const bought = [...new Set(recent.flatMap(({ items }) => items.map(({ productId }) => productId)))];
        const again = await part('buyAgain', { fallback: [], timeout: '500ms' }, () =>
          Promise.all(bought.map((id) => loadBy<{ id: string; name: string } | null>('catalog.byId', id))),
        );
        return {
          greeting: `Hello, ${user.name}`,
          orders: recent.map(({ id, state, total }) => ({ id, state, total })),
          buyAgain: again.flatMap((product) => (product ? [{ id: product.id, name: product.name }] : [])),
        };
      },
    }),
    { name: 'orders', path: '/v1/orders{/*rest}', upstream: 'orders', rewrite: '/orders{/*rest}' },
    {
      name: 'orders-v2',
      path: '/v2/orders{/*rest}',
      upstream: 'orders',
      rewrite: '/orders{/*rest}',
      transform: 'orders-v2-to-v1',
      validate: { request: 'enforce' },
    },
  ],
});
