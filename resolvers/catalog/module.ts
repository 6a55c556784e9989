import { batch, connection, defineModule, defineUpstream, indexBy, load, sdl } from '#resolvers/index.ts';
import type { paths } from './generated/catalog.ts';

export const catalog = defineModule({
  name: 'catalog',
  owner: 'team-catalog',
  upstreams: {
    catalog: defineUpstream<paths>(import.meta, {
      openapi: '../../examples/shop/services/catalog/openapi.yaml',
      health: { path: '/health' },
    }),
  },
  typeDefs: sdl(import.meta, './catalog.graphql'),
  loaders: ({ clients }) => ({
    byId: batch({ maxBatchSize: 100, item: clients.catalog.item('/products/{id}') }, async (ids, { signal }) => {
      const { items } = await clients.catalog.get('/products', { query: { ids }, signal });
      return indexBy(items, (product) => product.id);
    }),
  }),
  resolvers: {
    Query: {
      products: async (_, { first, category }, { clients }) =>
        (await clients.catalog.get('/products', { query: { first, category } })).items,
      productsConnection: async (_, { first, after, category }, { clients }) =>
        connection(await clients.catalog.get('/products', { query: { first, after, category } }), after),
      product: load('byId', { key: (_, { id }) => id }),
    },
    OrderItem: { product: load('byId', { key: 'productId' }) },
    Review: { product: load('byId', { key: 'productId' }) },
  },
  routes: [
    { name: 'products', path: '/v1/products{/*rest}', upstream: 'catalog', rewrite: '/products{/*rest}' },
    {
      name: 'product-image',
      path: '/v1/products/:id/image',
      methods: ['PUT'],
      upstream: 'catalog',
      rewrite: '/products/:id/image',
      maxBodyBytes: '64MiB',
    },
    { name: 'catalog', path: '/v1/catalog{/*rest}', upstream: 'catalog', rewrite: '/catalog{/*rest}' },
    {
      name: 'upload',
      path: '/v1/upload',
      methods: ['POST'],
      upstream: 'catalog',
      rewrite: '/upload',
      maxBodyBytes: '1GiB',
    },
  ],
});
