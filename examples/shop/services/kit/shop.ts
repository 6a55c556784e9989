/**
 * What the four services agree on without ever asking each other: where each listens, how much data there is, and
 * what a product costs. Everything else about a service is its own.
 */
import { draw } from './random.ts';

export const ports = { users: 5001, orders: 5002, catalog: 5003, reviews: 5004 } as const;

export type ServiceName = keyof typeof ports;

/** Rows at start. The last row of a collection has this number as its id. */
export const sizes = { users: 1_000, products: 500, orders: 20_000, reviews: 50_000 } as const;

/**
 * The price that the catalog asks and the price that an order line records come from one seed, so the services agree
 * although they never speak. A price changed by PATCH in the catalog leaves the orders as they were, as it should.
 */
export function unitPriceCents(productId: number): number {
  const { int } = draw('price', productId);
  return int(2, 149) * 100 + 99;
}

/**
 * Spreads rows over parents evenly and without order: every block of `parents` consecutive rows has each parent once.
 * `stride` must share no factor with `parents`.
 */
export function parentOf(row: number, parents: number, stride: number): number {
  return ((row * stride - 1) % parents) + 1;
}

/** Seconds are enough for a shop, and RFC 3339 without a fraction is what the legacy format always had. */
export function instant(time: number | Date): string {
  return `${new Date(time).toISOString().slice(0, 19)}Z`;
}

/** The moment of row `n` of `count`: later rows are later, so "newest" is "highest id". Two years, ending with 2025. */
export function seededInstant(n: number, count: number, jitter: number): string {
  const begin = Date.UTC(2024, 0, 1);
  const step = (Date.UTC(2026, 0, 1) - begin) / count;
  return instant(begin + (n - 1 + jitter) * step);
}
