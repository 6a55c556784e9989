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
import type { paths } from './generated/reviews.ts';

export const reviews = defineModule({
  name: 'reviews',
  owner: 'team-community',
  upstreams: {
    reviews: defineUpstream<paths>(import.meta, {
      openapi: '../../examples/shop/services/reviews/openapi.yaml',
      health: { path: '/health' },
    }),
  },
  typeDefs: sdl(import.meta, './reviews.graphql'),
  loaders: ({ clients }) => ({
    byId: batch({ maxBatchSize: 100 }, async (ids, { signal }) => {
      const { items } = await clients.reviews.get('/reviews', { query: { ids }, signal });
      return indexBy(items, (review) => review.id);
    }),
    byProduct: batch({ maxBatchSize: 50 }, async (productIds, { params, signal }: Loading<{ first: number }>) => {
      const query = { product_ids: productIds, first: params.first };
      const { items } = await clients.reviews.get('/reviews', { query, signal });
      return groupBy(items, (review) => review.productId);
    }),
  }),
  resolvers: {
    Query: {
      reviewsConnection: async (_, { first, after }, { clients }) =>
        connection(await clients.reviews.get('/reviews', { query: { first, after } }), after),
      review: load('byId', { key: (_, { id }) => id }),
    },
    Product: { reviews: load('byProduct', { key: 'id', params: ({ first }) => ({ first }) }) },
    Mutation: {
      addReview: (_, { input }, { clients }) => clients.reviews.post('/reviews', { body: input }),
    },
  },
  routes: [{ name: 'reviews', path: '/v1/reviews{/*rest}', upstream: 'reviews', rewrite: '/reviews{/*rest}' }],
});
