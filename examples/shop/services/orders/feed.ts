/** What happens to orders, told to whoever listens, and kept for a while for those who come back. */

export type OrderEventType = 'placed' | 'changed' | 'cancelled';

export type OrderEvent = {
  /** Counts up from 1 with the process. */
  id: number;
  customerId: string;
  /** JSON: `{ type, order }`. */
  data: string;
};

export type Listener = (event: OrderEvent) => void;

/** A listener that was away for longer than this many events has to read the orders again. */
const KEPT = 1_000;

export class Feed {
  readonly #kept: OrderEvent[] = [];
  readonly #listeners = new Set<Listener>();
  #last = 0;

  publish(type: OrderEventType, customerId: string, orderJson: string): void {
    const event = { id: ++this.#last, customerId, data: `{"type":"${type}","order":${orderJson}}` };
    this.#kept.push(event);
    if (this.#kept.length > KEPT) this.#kept.shift();
    for (const listener of this.#listeners) listener(event);
  }

  /** What is still kept of the events after one that was seen. */
  since(seen: number, customerId: string | null): OrderEvent[] {
    return this.#kept.filter((event) => event.id > seen && concerns(event, customerId));
  }

  /** Tells of every event to come, until the returned function is called. */
  subscribe(customerId: string | null, listener: Listener): () => void {
    const wanted: Listener = (event) => {
      if (concerns(event, customerId)) listener(event);
    };
    this.#listeners.add(wanted);
    return () => this.#listeners.delete(wanted);
  }
}

/** `null` is everybody. */
function concerns(event: OrderEvent, customerId: string | null): boolean {
  return customerId === null || event.customerId === customerId;
}
