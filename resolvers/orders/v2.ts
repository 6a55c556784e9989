/** The only place that knows how the orders service speaks: v1, its legacy format. Everybody else, GraphQL too, speaks v2. */
import { defineTransform } from '#resolvers/index.ts';
import type { components as V1, paths as V1Paths } from './generated/orders.ts';
import type { components as V2, paths as V2Paths } from './generated/orders-v2.ts';

type OrderV1 = V1['schemas']['Order'];
type OrderV2 = V2['schemas']['Order'];
type Problem = V1['schemas']['Problem'];

function orderFrom(v1: OrderV1): OrderV2 {
  const { currency } = v1.totals;
  const money = (cents: string) => ({ amount: Number(cents), currency });
  return {
    id: v1.order_id,
    userId: v1.customer.customer_id,
    placedAt: v1.placed_at,
    state: upperCase(v1.state),
    items: v1.lines.map((line) => ({
      productId: line.product_ref,
      quantity: line.qty,
      unitPrice: money(line.unit_price_cents),
    })),
    total: money(v1.totals.gross_cents),
    tax: money(v1.totals.tax_cents),
  };
}

/** The service tells of what is wrong with what it was sent, which is not what the client wrote. */
const namesInV2: readonly (readonly [RegExp, string])[] = [
  [/\bcustomer\/customer_id\b/g, 'userId'],
  [/\buser_ids?\b/g, 'userIds'],
  [/\blines\b/g, 'items'],
  [/\bproduct_ref\b/g, 'productId'],
  [/\bqty\b/g, 'quantity'],
];

function inV2(text: string): string {
  return namesInV2.reduce((result, [name, meant]) => result.replace(name, meant), text);
}

function problemFrom(problem: Problem): Problem {
  const { errors, detail } = problem;
  return {
    ...problem,
    detail: inV2(detail),
    ...(errors && { errors: errors.map((error) => ({ at: inV2(error.at), detail: error.detail })) }),
  };
}

function upperCase<Text extends string>(text: Text): Uppercase<Text> {
  return text.toUpperCase() as Uppercase<Text>;
}

function lowerCase<Text extends string>(text: Text): Lowercase<Text> {
  return text.toLowerCase() as Lowercase<Text>;
}

const v1 = {
  order_id: '1',
  customer: { customer_id: '7' },
  placed_at: '2026-01-02T03:04:05Z',
  state: 'shipped',
  lines: [{ line_no: 1, product_ref: '12', qty: 2, unit_price_cents: '1999' }],
  totals: { net_cents: '3998', tax_cents: '760', gross_cents: '4758', currency: 'EUR' },
};

const v2: OrderV2 = {
  id: '1',
  userId: '7',
  placedAt: '2026-01-02T03:04:05Z',
  state: 'SHIPPED',
  items: [{ productId: '12', quantity: 2, unitPrice: { amount: 1999, currency: 'EUR' } }],
  total: { amount: 4758, currency: 'EUR' },
  tax: { amount: 760, currency: 'EUR' },
};

export const ordersV2ToV1 = defineTransform<V2Paths, V1Paths>({
  name: 'orders-v2-to-v1',
  from: 'v2',
  to: 'v1',
  documents: {
    from: new URL('orders-v2.yaml', import.meta.url),
    to: new URL('../../examples/shop/services/orders/openapi.yaml', import.meta.url),
  },
  request(asked) {
    switch (asked.operation) {
      case 'GET /orders': {
        const { userIds, ...query } = asked.query;
        return { operation: 'GET /orders', query: { ...query, user_ids: userIds } };
      }
      case 'POST /orders':
        return {
          operation: 'POST /orders',
          body: {
            customer: { customer_id: asked.body.userId },
            lines: asked.body.items.map(({ productId, quantity }) => ({ product_ref: productId, qty: quantity })),
          },
        };
      case 'GET /orders/events':
        return { operation: 'GET /orders/events', query: { user_id: asked.query.userId } };
      case 'PATCH /orders/{id}':
        return {
          operation: 'PATCH /orders/{id}',
          params: asked.params,
          body: { state: lowerCase(asked.body.state) },
        };
      case 'GET /orders/{id}':
        return { operation: 'GET /orders/{id}', params: asked.params };
      default:
        return { operation: 'DELETE /orders/{id}', params: asked.params };
    }
  },
  response(said) {
    const { operation, status, headers } = said;
    if (operation === 'GET /orders' && status === 200) {
      const { orders, next_cursor: nextCursor, total_count: total } = said.body;
      const paging = { ...(nextCursor !== undefined && { nextCursor }), ...(total !== undefined && { total }) };
      return { status, body: { items: orders.map(orderFrom), ...paging } };
    }
    if (operation === 'POST /orders' && status === 201)
      return { status, headers: { location: `/v2${String(headers.location)}` }, body: orderFrom(said.body) };
    if ((operation === 'GET /orders/{id}' || operation === 'PATCH /orders/{id}') && status === 200)
      return { status, body: orderFrom(said.body) };
    if (status === 204) return { status };
    if (status === 304) return { status };
    // What is left of the statuses that v1 knows are problems, the same ones in v2.
    return { status, body: problemFrom(said.body as Problem) } as { readonly status: 400; readonly body: Problem };
  },
  event({ event, data }) {
    const { type, order } = data as V1['schemas']['OrderEvent'];
    return { event, data: { type: upperCase(type), order: orderFrom(order) } };
  },
  samples: [
    {
      request: { operation: 'GET /orders', query: { userIds: ['7'], first: '1' } },
      becomes: { operation: 'GET /orders', query: { user_ids: ['7'], first: '1' } },
      answer: { status: 200, body: { orders: [v1] } },
      gives: { status: 200, body: { items: [v2] } },
    },
    {
      request: { operation: 'POST /orders', body: { userId: '7', items: [{ productId: '12', quantity: 2 }] } },
      becomes: {
        operation: 'POST /orders',
        body: { customer: { customer_id: '7' }, lines: [{ product_ref: '12', qty: 2 }] },
      },
      answer: { status: 201, headers: { location: '/orders/1' }, body: v1 },
      gives: { status: 201, headers: { location: '/v2/orders/1' }, body: v2 },
    },
    {
      request: { operation: 'POST /orders', body: { userId: '7', items: [{ productId: '12', quantity: 0 }] } },
      answer: {
        status: 400,
        body: {
          type: 'about:blank',
          title: 'Bad Request',
          status: 400,
          detail: 'The body is not what the operation takes.',
          errors: [{ at: '/lines/0/qty', detail: 'must be an integer, 1 to 1000' }],
        },
      },
      gives: {
        status: 400,
        body: {
          type: 'about:blank',
          title: 'Bad Request',
          status: 400,
          detail: 'The body is not what the operation takes.',
          errors: [{ at: '/items/0/quantity', detail: 'must be an integer, 1 to 1000' }],
        },
      },
    },
  ],
  // The number of a line is its place, and the net is total less tax.
  lossy: ['/response/**/lines/*/line_no', '/response/**/totals/net_cents'],
});
