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
import type { components, paths } from './generated/orders.ts';
import { orderEventOf, orderOf } from './v1.ts';

export const orders = defineModule({
  name: 'orders',
  owner: 'team-orders',
  upstreams: {
    orders: defineUpstream<paths>(import.meta, {
      openapi: '../../examples/shop/services/orders/openapi.yaml',
      health: { path: '/health' },
    }),
  },
  typeDefs: sdl(import.meta, './orders.graphql'),
  loaders: ({ clients }) => ({
    byId: batch({ maxBatchSize: 100 }, async (ids, { signal }) => {
      const found = await clients.orders.get('/orders', { query: { ids }, signal });
      return indexBy(found.orders.map(orderOf), (order) => order.id);
    }),
    byUser: batch({ maxBatchSize: 100 }, async (userIds, { params, signal }: Loading<{ first: number }>) => {
      const query = { user_ids: userIds, first: params.first };
      const found = await clients.orders.get('/orders', { query, signal });
      return groupBy(found.orders.map(orderOf), (order) => order.userId);
    }),
  }),
  resolvers: {
    Query: {
      ordersConnection: async (_, { first, after }, { clients }) => {
        const page = await clients.orders.get('/orders', { query: { first, after } });
        return connection(
          { items: page.orders.map(orderOf), nextCursor: page.next_cursor, total: page.total_count },
          after,
        );
      },
      order: load('byId', { key: (_, { id }) => id }),
    },
    User: { orders: load('byUser', { key: 'id', params: ({ first }) => ({ first }) }) },
    Mutation: {
      placeOrder: async (_, { input }, { clients }) => {
        const placed = await clients.orders.post('/orders', {
          body: {
            customer: { customer_id: input.userId },
            lines: input.items.map(({ productId, quantity }) => ({ product_ref: productId, qty: quantity })),
          },
          ...(input.idempotencyKey && { headers: { 'idempotency-key': input.idempotencyKey } }),
        });
        return orderOf(placed);
      },
    },
    Subscription: {
      async *orderEvents(_, { userId }, { clients }) {
        for await (const event of clients.orders.events('/orders/events', { query: { user_id: userId } })) {
          yield orderEventOf(event.json() as components['schemas']['OrderEvent']);
        }
      },
    },
  },
  routes: [{ name: 'orders', path: '/v1/orders{/*rest}', upstream: 'orders', rewrite: '/orders{/*rest}' }],
});
