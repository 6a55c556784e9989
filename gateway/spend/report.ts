import { perCall } from '#core/price.ts';
import { keyOf, SpentSums, type Spent } from './ledger.ts';

/** What spending can be told apart by. */
export const spendDimensions = ['consumer', 'upstream', 'operation'] as const;
export type SpendDimension = (typeof spendDimensions)[number];

/** Over how many minutes it is told. */
export const spendWindows = [1, 5, 60] as const;
export type SpendWindow = (typeof spendWindows)[number];

export interface SpendLine {
  readonly consumer?: string;
  readonly upstream?: string;
  /** The name of an operation or of a route. */
  readonly operation?: string;
  readonly calls: number;
  /** In upstream calls, by their weights. */
  readonly cost: number;
  /** Of all that was spent: 0 to 1. */
  readonly share: number;
}

/** Who spent what on which upstream, the dearest first. */
export interface SpendReport {
  readonly minutes: SpendWindow;
  /** ISO 8601: the whole minutes, and the one that has begun. */
  readonly since: string;
  /** Of all instances that share a store, or of this one alone. */
  readonly instances: 'all' | 'this';
  readonly calls: number;
  readonly cost: number;
  readonly lines: readonly SpendLine[];
}

export interface SpendQuestion {
  readonly minutes: SpendWindow;
  readonly by: readonly SpendDimension[];
  readonly top: number;
}

export function spendReport(
  spent: readonly Spent[],
  { minutes, by, top }: SpendQuestion,
  since: string,
  instances: SpendReport['instances'],
): SpendReport {
  const told = (dimension: SpendDimension, value: string) => (by.includes(dimension) ? value : '');
  const sums = new SpentSums();
  let [calls, price] = [0, 0];
  for (const one of spent) {
    calls += one.calls;
    price += one.price;
    const key = keyOf(told('consumer', one.consumer), told('operation', one.operation), told('upstream', one.upstream));
    sums.add(key, one.calls, one.price);
  }
  const lines = sums
    .list()
    .sort((a, b) => b.price - a.price || b.calls - a.calls)
    .slice(0, top)
    .map((line) => ({
      ...(by.includes('consumer') && { consumer: line.consumer }),
      ...(by.includes('upstream') && { upstream: line.upstream }),
      ...(by.includes('operation') && { operation: line.operation }),
      calls: line.calls,
      cost: line.price / perCall,
      share: price === 0 ? 0 : Math.round((line.price / price) * 1_000) / 1_000,
    }));
  return { minutes, since, instances, calls, cost: price / perCall, lines };
}
