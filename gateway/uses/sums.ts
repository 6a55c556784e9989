/** That one consumer used one thing: a version of a route, such as `/v1/orders{/*rest}`, or a field, such as `User.fax`. */
export interface Use {
  readonly what: string;
  readonly consumer: string;
  readonly count: number;
  readonly firstMs: number;
  readonly lastMs: number;
}

/** Things come from the configuration and the schema, consumers from wherever tokens do. */
export const maxUses = 20_000;
export const others = '(others)';

/** Sums of uses by thing and consumer. In its steady state it allocates nothing for a use. */
export class UseSums {
  readonly #byThing = new Map<string, Map<string, { count: number; firstMs: number; lastMs: number }>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(what: string, consumer: string, count: number, firstMs: number, lastMs: number): void {
    let byConsumer = this.#byThing.get(what);
    if (!byConsumer) {
      byConsumer = new Map<string, { count: number; firstMs: number; lastMs: number }>();
      this.#byThing.set(what, byConsumer);
    }
    const known = byConsumer.get(consumer);
    if (known) {
      known.count += count;
      if (firstMs < known.firstMs) known.firstMs = firstMs;
      if (lastMs > known.lastMs) known.lastMs = lastMs;
    } else if (this.#size < maxUses || consumer === others) {
      byConsumer.set(consumer, { count, firstMs, lastMs });
      this.#size++;
    } else this.add(what, others, count, firstMs, lastMs);
  }

  list(): Use[] {
    return Array.from(this.#byThing, ([what, byConsumer]) =>
      Array.from(byConsumer, ([consumer, sum]) => ({ what, consumer, ...sum })),
    ).flat();
  }
}
