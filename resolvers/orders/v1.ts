/** The only place that knows how the orders service speaks: its legacy format, v1, read as the orders of our domain. */
import type { components } from './generated/orders.ts';
import type { Order } from './models.ts';

type OrderV1 = components['schemas']['Order'];
type OrderEventV1 = components['schemas']['OrderEvent'];

export function orderOf(v1: OrderV1): Order {
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

export function orderEventOf(v1: OrderEventV1) {
  return { type: upperCase(v1.type), order: orderOf(v1.order) };
}

function upperCase<Text extends string>(text: Text): Uppercase<Text> {
  return text.toUpperCase() as Uppercase<Text>;
}
