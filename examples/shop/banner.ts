import type { Shop } from './services/spawn.ts';

const services = ['users', 'orders', 'catalog', 'reviews'] as const;

export interface Running {
  readonly gateway: string;
  readonly admin: string;
  readonly shop: Shop;
}

/** What is running where, a query to paste, and three things to try. */
export function banner({ gateway, admin, shop }: Running): string {
  return `
  Weir runs in front of the shop. Ctrl-C stops everything.

    GraphQL    ${gateway}/graphql   open it in a browser for GraphiQL
    REST       ${gateway}/v1/users  /v1/orders  /v1/products  /v1/reviews
    Operators  ${admin}/readyz  /metrics  /admin/upstreams
    Services   ${services.map((name) => `${name} ${shop[name].url}`).join('   ')}

  A query to paste (four services, nine calls; asked one by one, more than four hundred):

    { users(first: 10) { name orders(first: 5) { items { quantity product { name reviews(first: 3) { body author { name } } } } } } }

  Lines to try. The third breaks reviews; the fourth mends them, and the breaker tries them again after half a minute:

    curl -s ${gateway}/graphql -H 'content-type: application/json' -d '{"query":"{ users(first: 2) { name orders(first: 1) { total { amount } } } }"}'
    curl -si ${gateway}/v1/orders/7
    curl -s -X PUT ${shop.reviews.url}/_fault -H 'content-type: application/json' -d '{"errorRate":1}'
    curl -s -X DELETE ${shop.reviews.url}/_fault

`;
}
