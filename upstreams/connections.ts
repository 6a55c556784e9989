/**
 * The connection budget of one upstream. Over HTTP/1.1 a call under way is a connection in use, so a slot per call bounds
 * both forms of the exchange with one number. Who waits here is already counted by the bulkhead, so the queue is bounded.
 */
export class ConnectionSlots {
  #max: number;
  readonly #waiting = new Set<() => void>();
  #used = 0;

  constructor(max: number) {
    this.#max = max;
  }

  get used(): number {
    return this.#used;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Slots in use above a lower bound stay until they are given back. */
  resize(max: number): void {
    this.#max = max;
    while (this.#used < max && this.#grant()) this.#used++;
  }

  /** Takes a slot if one is free. */
  take(): boolean {
    if (this.#used >= this.#max) return false;
    this.#used++;
    return true;
  }

  /** Calls `granted` once with a slot taken. The returned function leaves the queue. */
  wait(granted: () => void): () => void {
    this.#waiting.add(granted);
    return () => this.#waiting.delete(granted);
  }

  release(): void {
    if (this.#used > this.#max || !this.#grant()) this.#used--;
  }

  #grant(): boolean {
    const [next] = this.#waiting;
    if (next === undefined) return false;
    this.#waiting.delete(next);
    next();
    return true;
  }
}
