import { batch, connection, defineModule, defineUpstream, indexBy, load, sdl } from '#resolvers/index.ts';
import type { paths } from './generated/users.ts';

export const users = defineModule({
  name: 'users',
  owner: 'team-identity',
  upstreams: {
    users: defineUpstream<paths>(import.meta, {
      openapi: '../../examples/shop/services/users/openapi.yaml',
      health: { path: '/health' },
    }),
  },
  typeDefs: sdl(import.meta, './users.graphql'),
  loaders: ({ clients }) => ({
    byId: batch({ maxBatchSize: 100, item: clients.users.item('/users/{id}') }, async (ids, { signal }) => {
      const { items } = await clients.users.get('/users', { query: { ids }, signal });
      return indexBy(items, (user) => user.id);
    }),
  }),
  resolvers: {
    Query: {
      users: async (_, { first }, { clients }) => (await clients.users.get('/users', { query: { first } })).items,
      usersConnection: async (_, { first, after }, { clients }) =>
        connection(await clients.users.get('/users', { query: { first, after } }), after),
      user: load('byId', { key: (_, { id }) => id }),
    },
    Order: { user: load('byId', { key: 'userId' }) },
    Review: { author: load('byId', { key: 'authorId' }) },
  },
  routes: [{ name: 'users', path: '/v1/users{/*rest}', upstream: 'users', rewrite: '/users{/*rest}' }],
});
