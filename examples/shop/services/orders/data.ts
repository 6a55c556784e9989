/**
 * Orders as the legacy system has always told them, v1: snake_case, cents as texts, and nested by the paper form of
 * old. Nothing newer is spoken here; what wants another shape has to transform.
 */
import { draw } from '../kit/random.ts';
import { parentOf, seededInstant, sizes, unitPriceCents } from '../kit/shop.ts';

export const orderStates = ['open', 'paid', 'shipped', 'cancelled'] as const;

export type OrderState = (typeof orderStates)[number];

type OrderLine = { line_no: number; product_ref: string; qty: number; unit_price_cents: string };

export type Order = {
  order_id: string;
  customer: { customer_id: string };
  placed_at: string;
  state: OrderState;
  lines: OrderLine[];
  totals: { net_cents: string; tax_cents: string; gross_cents: string; currency: 'EUR' };
};

/** Twenty orders for each user. */
export function customerOf(order: number): string {
  return String(parentOf(order, sizes.users, 7));
}

export function seededOrder(number: number): Order {
  const { next, int } = draw('order', number);
  const wanted = Array.from({ length: int(1, 4) }, () => ({
    product_ref: String(int(1, sizes.products)),
    qty: int(1, 3),
  }));
  return {
    order_id: String(number),
    customer: { customer_id: customerOf(number) },
    placed_at: seededInstant(number, sizes.orders, next()),
    state: stateAt(number, next()),
    ...priced(wanted),
  };
}

/** The last twentieth is still on its way through the house; of the rest, one in twelve was called off. */
function stateAt(number: number, chance: number): OrderState {
  if (number <= sizes.orders * 0.95) return chance < 1 / 12 ? 'cancelled' : 'shipped';
  return chance < 0.4 ? 'open' : chance < 0.7 ? 'paid' : 'shipped';
}

/** Lines and totals of what is wanted. Prices are net; tax is rounded once, on the sum. */
export function priced(wanted: readonly { product_ref: string; qty: number }[]): Pick<Order, 'lines' | 'totals'> {
  let net = 0;
  const lines = wanted.map(({ product_ref, qty }, index) => {
    const unit = unitPriceCents(Number(product_ref));
    net += unit * qty;
    return { line_no: index + 1, product_ref, qty, unit_price_cents: String(unit) };
  });
  const tax = Math.round(net * 0.19);
  return {
    lines,
    totals: { net_cents: String(net), tax_cents: String(tax), gross_cents: String(net + tax), currency: 'EUR' },
  };
}
