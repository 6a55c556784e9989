/** The orders service. It speaks its legacy v1 format and nothing else; see data.ts. */
import { readJson } from '../kit/body.ts';
import { ByParent, Collection, commaSeparated, type Row } from '../kit/collection.ts';
import { notFound, Problem } from '../kit/problem.ts';
import { after, first, list } from '../kit/query.ts';
import { entity, json, noContent, requireMatch, written } from '../kit/respond.ts';
import type { Handler } from '../kit/router.ts';
import { type Address, listen, type Running, type Service } from '../kit/server.ts';
import { instant, ports, sizes } from '../kit/shop.ts';
import { array, id, integer, object, oneOf, validate } from '../kit/validate.ts';
import { customerOf, type Order, orderStates, type OrderState, priced, seededOrder } from './data.ts';
import { orderEvents } from './events.ts';
import { Feed } from './feed.ts';
import { Idempotency } from './idempotency.ts';
import { orderSockets, upgradeRequired } from './sockets.ts';

const MAX_IDS = 100;

/** Orders belong to somebody: no shared cache keeps them, and a private one asks first. */
const CACHE = 'private, no-cache';

const newOrder = object({
  customer: object({ customer_id: id() }),
  lines: array(object({ product_ref: id(sizes.products), qty: integer(1, 1_000) }), { min: 1, max: 50 }),
});
const changedOrder = object({ state: oneOf(orderStates) });

export function createService(): Service {
  const orders = new Collection<Order>(sizes.orders, seededOrder);
  const byCustomer = new ByParent();
  for (let number = 1; number <= sizes.orders; number++) byCustomer.add(customerOf(number), number);
  const feed = new Feed();
  const idempotency = new Idempotency();

  const existing = (orderId: string | undefined) => {
    const row = orders.get(orderId ?? '');
    if (!row) throw notFound('order with this id');
    return row;
  };

  const newest = (customerIds: string[], count: number): Row<Order>[] =>
    customerIds.flatMap((customer) => byCustomer.newest(customer, count).map((number) => orders.at(number)!));

  const listOrders: Handler = (request) => {
    const { query } = request;
    const bulk = query.has('user_ids')
      ? newest(list(query, 'user_ids', MAX_IDS), first(query, 10))
      : query.has('ids') && orders.many(list(query, 'ids', MAX_IDS));
    if (bulk) return json(request, `{"orders":[${commaSeparated(bulk)}]}`, CACHE);

    const { rows, nextCursor } = orders.page(after(query), first(query, 10));
    const rest = `"next_cursor":${JSON.stringify(nextCursor)},"total_count":${orders.size}`;
    return json(request, `{"orders":[${commaSeparated(rows)}],${rest}}`, CACHE);
  };

  const placeOrder: Handler = async (request) => {
    const { customer, lines } = validate(newOrder, await readJson(request.raw));
    return idempotency.once(request, { customer, lines }, () => {
      const placed_at = instant(new Date());
      const row = orders.insert((order_id) => ({ order_id, customer, placed_at, state: 'open', ...priced(lines) }));
      byCustomer.add(customer.customer_id, row.number);
      feed.publish('placed', customer.customer_id, row.json);
      return written(row, { location: `/orders/${row.entity.order_id}` });
    });
  };

  /** To ask for the state that an order has is no change, and no event. What is cancelled stays so. */
  const move = (row: Row<Order>, state: OrderState): Row<Order> => {
    if (state === row.entity.state) return row;
    if (row.entity.state === 'cancelled') throw new Problem(409, 'The order is cancelled.');
    const moved = orders.replace(row, { ...row.entity, state });
    feed.publish(state === 'cancelled' ? 'cancelled' : 'changed', row.entity.customer.customer_id, moved.json);
    return moved;
  };

  return {
    name: 'orders',
    document: new URL('./openapi.yaml', import.meta.url),
    routes: {
      'GET /orders': listOrders,
      'POST /orders': placeOrder,
      'GET /orders/{id}': (request) => entity(request, existing(request.params['id']), CACHE),
      'PATCH /orders/{id}': async (request) => {
        const { state } = validate(changedOrder, await readJson(request.raw));
        const row = existing(request.params['id']);
        requireMatch(request, row);
        return written(move(row, state));
      },
      'DELETE /orders/{id}': (request) => {
        const row = existing(request.params['id']);
        requireMatch(request, row);
        move(row, 'cancelled');
        return noContent();
      },
      'GET /orders/events': (request) => orderEvents(feed, request),
      'GET /orders/live': upgradeRequired,
      'GET /orders/echo': upgradeRequired,
    },
    upgrades: orderSockets(feed),
  };
}

export function start(address: Address = {}): Promise<Running> {
  return listen(createService(), { port: ports.orders, ...address });
}
