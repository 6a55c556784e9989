import type { Result } from './result.ts';

export interface ResultSource<T> {
  readonly items: AsyncIterator<T, unknown, undefined>;
  format(item: T): Result | Promise<Result>;
  /** Says a failure of `items` as the last result. */
  fail(error: unknown): Result;
}

/**
 * The parts of an answer that comes in parts, pulled one by one by whoever sends them. Unlike an async generator it can be
 * ended while it waits for the next part, which may be hours away: that is how a client leaves and the gateway stops.
 */
export class ResultStream<T = unknown> implements AsyncIterableIterator<Result, undefined, undefined> {
  readonly #source: ResultSource<T>;
  readonly #onEnd: (() => void)[] = [];
  #over = false;
  /** Whoever waits for the next result. */
  #waiting: ((step: IteratorReturnResult<undefined>) => void) | undefined;

  constructor(source: ResultSource<T>) {
    this.#source = source;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<Result, undefined>> {
    if (this.#over) return Promise.resolve(done);
    return new Promise((resolve) => {
      this.#waiting = resolve;
      void this.#step().then(resolve);
    });
  }

  return(): Promise<IteratorReturnResult<undefined>> {
    if (!this.#over) {
      this.#end();
      void this.#stop();
    }
    return Promise.resolve(done);
  }

  /** Calls `listener` once the stream has ended, in whichever way; at once if it has already. */
  onEnd(listener: () => void): void {
    if (this.#over) listener();
    else this.#onEnd.push(listener);
  }

  async #step(): Promise<IteratorResult<Result, undefined>> {
    const source = this.#source;
    try {
      const item = await source.items.next();
      if (!item.done && !this.#over) return { done: false, value: await source.format(item.value) };
      this.#end();
      return done;
    } catch (error) {
      if (this.#over) return done;
      // The result of this very step is the failure, so nobody waits any more.
      this.#waiting = undefined;
      this.#end();
      return { done: false, value: source.fail(error) };
    }
  }

  #end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#waiting?.(done);
    for (const listener of this.#onEnd) listener();
  }

  async #stop(): Promise<void> {
    try {
      await this.#source.items.return?.();
    } catch {
      // What the source still does is of no interest, nor is how it fails.
    }
  }
}

const done: IteratorReturnResult<undefined> = { done: true, value: undefined };
