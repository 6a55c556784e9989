import {
  batch,
  connection,
  defineModule,
  defineUpstream,
  groupBy,
  indexBy,
  load,
  sdl,
  type Loading,
} from '#resolvers/index.ts';
import type { components, paths } from './generated/orders-v2.ts';
import { ordersV2ToV1 } from './v2.ts';

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
  routes: [
    { name: 'orders', path: '/v1/orders{/*rest}', upstream: 'orders', rewrite: '/orders{/*rest}' },
    {
      name: 'orders-v2',
      path: '/v2/orders{/*rest}',
      upstream: 'orders',
      rewrite: '/orders{/*rest}',
      transform: 'orders-v2-to-v1',
    },
  ],
});
