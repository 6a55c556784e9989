import type { Clock } from '#core/clock.ts';

/** What one consumer's operations or requests of one kind cost at one upstream. */
export interface Spent {
  readonly consumer: string;
  /** The name of an operation or of a route. */
  readonly operation: string;
  readonly upstream: string;
  /** Calls that were sent. */
  readonly calls: number;
  /** Their price, in thousandths of a call. */
  readonly price: number;
}

/** What is told apart in a minute; clients choose the names of operations, so what is more goes under one name. */
export const maxKeys = 1_000;
export const others = '(others)';

/** Minutes that are looked back on. */
export const maxMinutes = 60;
export const minuteMs = 60_000;

/** Sums of what was spent, told apart by who, on what, and where. */
export class SpentSums {
  readonly #sums = new Map<string, { calls: number; price: number }>();

  get size(): number {
    return this.#sums.size;
  }

  add(key: string, calls: number, price: number): void {
    const known = this.#sums.get(key);
    if (known) {
      known.calls += calls;
      known.price += price;
    } else if (this.#sums.size < maxKeys || isOther(key)) this.#sums.set(key, { calls, price });
    else this.add(otherOf(key), calls, price);
  }

  addAll(sums: SpentSums): void {
    for (const [key, { calls, price }] of sums.#sums) this.add(key, calls, price);
  }

  *[Symbol.iterator](): Iterator<readonly [key: string, calls: number, price: number]> {
    for (const [key, { calls, price }] of this.#sums) yield [key, calls, price];
  }

  list(): Spent[] {
    return Array.from(this, ([key, calls, price]) => ({ ...partsOf(key), calls, price }));
  }
}

/** Names have no line breaks: those of consumers, routes and upstreams are bounded by the configuration, GraphQL's by its grammar. */
export function keyOf(consumer: string, operation: string, upstream: string): string {
  return `${consumer}\n${operation}\n${upstream}`;
}

function partsOf(key: string): Pick<Spent, 'consumer' | 'operation' | 'upstream'> {
  const [consumer = '', operation = '', upstream = ''] = key.split('\n');
  return { consumer, operation, upstream };
}

function otherOf(key: string): string {
  return keyOf(others, others, partsOf(key).upstream);
}

function isOther(key: string): boolean {
  return key.startsWith(others);
}

/** What this process has spent in the last hour, minute by minute of the clock. */
export class SpendLedger {
  readonly #clock: Clock;
  /** By number of the minute since the epoch. */
  readonly #minutes = new Map<number, SpentSums>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(key: string, calls: number, price: number): void {
    const now = minuteOf(this.#clock.epochMs());
    let sums = this.#minutes.get(now);
    if (!sums) {
      for (const minute of this.#minutes.keys())
        if (minute < now - maxMinutes || minute > now) this.#minutes.delete(minute);
      this.#minutes.set(now, (sums = new SpentSums()));
    }
    sums.add(key, calls, price);
  }

  /** Of so many whole minutes and the one that has begun. */
  since(minutes: number): Spent[] {
    const first = minuteOf(this.#clock.epochMs()) - minutes;
    const total = new SpentSums();
    for (const [minute, sums] of this.#minutes) if (minute >= first) total.addAll(sums);
    return total.list();
  }
}

export function minuteOf(epochMs: number): number {
  return Math.floor(epochMs / minuteMs);
}
