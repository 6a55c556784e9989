import type { Clock } from '#core/clock.ts';
import type { AuthSettings } from './settings.ts';

/** The first wait; it doubles with each failure after that. */
const firstDelayMs = 50;

/** A failure is forgotten after this long, one at a time. */
const forgetMs = 10_000;

/** Sources that are remembered; the one not seen for longest is forgotten first. */
const maxSources = 10_000;

/** Answers that are held back at once; who comes on top is answered at once, since waiting costs us more than them. */
const maxWaiting = 1_000;

export type FailureSettings = AuthSettings['failures'];

interface Source {
  failures: number;
  lastMs: number;
}

/**
 * Slows down who tries credentials that fail, by address and by the letters that a key begins with. Only failures wait: a
 * credential that is right is never held up by others who guess, not even from the same address.
 */
export class Failures {
  readonly #clock: Clock;
  #settings: FailureSettings;
  /** A Map keeps the order of insertion, and what fails again is inserted anew. */
  readonly #sources = new Map<string, Source>();
  #waiting = 0;

  constructor(settings: FailureSettings, clock: Clock) {
    this.#settings = settings;
    this.#clock = clock;
  }

  /** What has been counted stays. */
  configure(settings: FailureSettings): void {
    this.#settings = settings;
  }

  /** @returns what to wait for before the refusal is told; undefined for nothing */
  note(address: string, prefix: string | undefined): Promise<void> | undefined {
    const byAddress = this.#count(`ip ${address}`);
    const byPrefix = prefix === undefined ? 0 : this.#count(`key ${prefix}`);
    const { free, maxDelay } = this.#settings;
    const surplus = Math.max(byAddress, byPrefix) - free;
    if (surplus <= 0 || this.#waiting >= maxWaiting) return undefined;
    const delayMs = Math.min(maxDelay, firstDelayMs * 2 ** Math.min(surplus - 1, 10));
    this.#waiting++;
    return new Promise((resolve) => {
      setTimeout(() => {
        this.#waiting--;
        resolve();
      }, delayMs);
    });
  }

  #count(name: string): number {
    const now = this.#clock.monotonicMs();
    const known = this.#sources.get(name);
    this.#sources.delete(name);
    const forgotten = known ? Math.floor((now - known.lastMs) / forgetMs) : 0;
    const failures = Math.max(0, (known?.failures ?? 0) - forgotten) + 1;
    this.#sources.set(name, { failures, lastMs: now });
    if (this.#sources.size > maxSources) {
      for (const oldest of this.#sources.keys()) {
        this.#sources.delete(oldest);
        break;
      }
    }
    return failures;
  }
}
