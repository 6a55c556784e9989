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
  #waiting: ((step: IteratorResult<Result, undefined>) => void) | undefined;
  /** A failure that is still to be said, to whoever asks next. */
  #last: Result | undefined;

  constructor(source: ResultSource<T>) {
    this.#source = source;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<Result, undefined>> {
    if (this.#over) return Promise.resolve(this.#lastStep());
    return new Promise((resolve) => {
      this.#waiting = resolve;
      void this.#step().then((step) => {
        this.#waiting = undefined;
        resolve(step);
      });
    });
  }

  return(): Promise<IteratorReturnResult<undefined>> {
    if (!this.#over) {
      this.#end();
      void this.#stop();
    }
    return Promise.resolve(done);
  }

  /** Ends it with this error as its last result, whatever its source is waiting for. */
  fail(error: unknown): void {
    if (this.#over) return;
    this.#last = this.#source.fail(error);
    this.#end();
    void this.#stop();
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
    this.#waiting?.(this.#lastStep());
    for (const listener of this.#onEnd) listener();
  }

  #lastStep(): IteratorResult<Result, undefined> {
    const last = this.#last;
    this.#last = undefined;
    return last === undefined ? done : { done: false, value: last };
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
