import type { DemoKey } from '#gateway/graphql/graphiql-consumers.ts';
import type { Shop } from './services/spawn.ts';

const services = ['users', 'orders', 'catalog', 'reviews'] as const;

export interface Running {
  readonly gateway: string;
  readonly admin: string;
  readonly shop: Shop;
  readonly demoKeys: readonly DemoKey[];
}

/** What is running where, a query to paste, and three things to try. */
export function banner({ gateway, admin, shop, demoKeys }: Running): string {
  return `
  Weir runs in front of the shop. Ctrl-C stops everything.

    GraphQL    ${gateway}/graphql   open it in a browser for GraphiQL
    REST       ${gateway}/v1/users  /v1/orders  /v1/products  /v1/reviews
    Operators  ${admin}/readyz  /metrics  /admin/upstreams
    Services   ${services.map((name) => `${name} ${shop[name].url}`).join('   ')}
    Keys       ${demoKeys.map(({ key, consumer, tier }) => `${key} (${consumer}, tier ${tier})`).join('   ')}

  A query to paste (four services, nine calls; asked one by one, more than four hundred):

    { users(first: 10) { name orders(first: 5) { items { quantity product { name reviews(first: 3) { body author { name } } } } } } }

  No key is needed, except for Order.tax (demo-pro, demo-partner) and /v1/feed (demo-partner). GraphiQL has them to choose from.

  Lines to try. The fourth breaks reviews; the fifth mends them, and the breaker tries them again after half a minute:

    curl -s ${gateway}/graphql -H 'content-type: application/json' -d '{"query":"{ users(first: 2) { name orders(first: 1) { total { amount } } } }"}'
    curl -si ${gateway}/v1/orders/7
    curl -s '${gateway}/v1/feed?first=2' -H 'x-api-key: demo-partner'
    curl -s -X PUT ${shop.reviews.url}/_fault -H 'content-type: application/json' -d '{"errorRate":1}'
    curl -s -X DELETE ${shop.reviews.url}/_fault

`;
}
