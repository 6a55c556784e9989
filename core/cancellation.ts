import type { WeirError } from './errors.ts';

/**
 * The one-way signal that work is no longer wanted: the client has gone, or the deadline has passed. It does what an
 * AbortSignal does at a tenth of its cost, which counts since every request and every attempt has one.
 */
export class Cancellation {
  reason: WeirError | undefined;
  #listeners: (((reason: WeirError) => void) | undefined)[] | undefined;
  #signal: AbortController | undefined;

  get cancelled(): boolean {
    return this.reason !== undefined;
  }

  cancel(reason: WeirError): void {
    if (this.reason) return;
    this.reason = reason;
    const listeners = this.#listeners;
    this.#listeners = undefined;
    if (listeners) for (const listener of listeners) listener?.(reason);
    this.#signal?.abort(reason);
  }

  /**
   * Calls `listener` once on cancellation, at once if it has already happened.
   * @returns a token for {@link off}
   */
  on(listener: (reason: WeirError) => void): number {
    if (this.reason) {
      listener(this.reason);
      return -1;
    }
    return (this.#listeners ??= []).push(listener) - 1;
  }

  off(token: number): void {
    const listeners = this.#listeners;
    if (!listeners || token < 0) return;
    listeners[token] = undefined;
    // Tokens are indices; the array can only shrink from its end.
    while (listeners.length > 0 && listeners.at(-1) === undefined) listeners.pop();
  }

  /** The same as an AbortSignal, made when first asked for: for code of modules and for platform interfaces. */
  get signal(): AbortSignal {
    if (!this.#signal) {
      this.#signal = new AbortController();
      if (this.reason) this.#signal.abort(this.reason);
    }
    return this.#signal.signal;
  }
}
