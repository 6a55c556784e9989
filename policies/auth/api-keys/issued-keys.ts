import type { Clock } from '#core/clock.ts';
import { WeirError } from '#core/errors.ts';
import { StoreUnavailable, type SharedStore } from '#core/shared-store.ts';
import type { KeyRecord } from './key-record.ts';
import { keysChannel, KeyStore, type KeyUse } from './key-store.ts';

interface Question {
  answer: Promise<KeyRecord | undefined>;
  /** Asked before a change that has been heard of since. */
  outdated: boolean;
}

interface Known {
  /** Undefined: there is no such key. */
  readonly record: KeyRecord | undefined;
  /** Monotonic; when the store was asked that said so. */
  readonly confirmedMs: number;
}

/** While instances are told of changes, what is known is right; it is asked again after this all the same. */
const confirmEveryMs = 60_000;

/** While they are not, a withdrawn key lives no longer than this. */
const confirmUntoldEveryMs = 500;

const maxKnown = 50_000;

const flushEveryMs = 5_000;

/**
 * Issued keys as this instance knows them. The store is asked once for each and tells of changes; when it cannot tell, all
 * that is known is confirmed again before it counts; when it cannot be asked either, it counts for `maxStale` at most.
 */
export class IssuedKeys {
  readonly store: KeyStore;
  readonly #shared: SharedStore;
  readonly #clock: Clock;
  #maxStaleMs = 0;
  readonly #known = new Map<string, Known>();
  readonly #asking = new Map<string, Question>();
  #uses = new Map<string, { count: number; lastUsedMs: number }>();
  /** Monotonic; since when every change has been heard of. Infinite while none is. */
  #toldSinceMs = Number.POSITIVE_INFINITY;
  #leave: (() => void) | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(store: SharedStore, clock: Clock) {
    this.store = new KeyStore(store);
    this.#shared = store;
    this.#clock = clock;
  }

  /** @param maxStaleMs the longest that a key goes on working while nobody can be asked about it */
  configure(maxStaleMs: number): void {
    this.#maxStaleMs = maxStaleMs;
  }

  start(): void {
    if (this.#leave) return;
    this.#leave = this.#shared.listen(keysChannel, {
      message: (hash) => this.#changed(hash),
      lost: () => (this.#toldSinceMs = Number.POSITIVE_INFINITY),
      // What was said meanwhile was not heard, so what was confirmed before does not count.
      resumed: () => (this.#toldSinceMs = this.#clock.monotonicMs()),
    });
    this.#timer = setInterval(() => void this.flush(), flushEveryMs).unref();
  }

  async stop(): Promise<void> {
    this.#leave?.();
    clearInterval(this.#timer);
    await this.flush();
  }

  /**
   * @returns undefined for a key that was never issued
   * @throws {WeirError} `AUTH_UNAVAILABLE` when nobody can say
   */
  find(hash: string): KeyRecord | undefined | Promise<KeyRecord | undefined> {
    const known = this.#known.get(hash);
    return known && this.#counts(known) ? known.record : this.#confirm(hash, known);
  }

  #counts({ confirmedMs }: Known): boolean {
    const ageMs = this.#clock.monotonicMs() - confirmedMs;
    return ageMs < (confirmedMs >= this.#toldSinceMs ? confirmEveryMs : confirmUntoldEveryMs);
  }

  /** Counts a use; the store hears of it every few seconds. */
  used(id: string): void {
    const lastUsedMs = this.#clock.epochMs();
    const uses = this.#uses.get(id);
    if (!uses) {
      this.#uses.set(id, { count: 1, lastUsedMs });
      return;
    }
    uses.count++;
    uses.lastUsedMs = lastUsedMs;
  }

  /** Tells the store of all uses that it has not heard of; what it does not take is told again. */
  async flush(): Promise<void> {
    const uses: KeyUse[] = Array.from(this.#uses, ([id, use]) => ({ id, ...use }));
    if (uses.length === 0) return;
    this.#uses = new Map();
    try {
      await this.store.addUses(uses);
    } catch (error) {
      // A late answer may still count: better once too often than a key that seems unused and is withdrawn.
      if (!(error instanceof StoreUnavailable)) throw error;
      for (const { id, count, lastUsedMs } of uses) {
        const since = this.#uses.get(id);
        this.#uses.set(id, { count: count + (since?.count ?? 0), lastUsedMs: since?.lastUsedMs ?? lastUsedMs });
      }
    }
  }

  #changed(hash: string): void {
    this.#known.delete(hash);
    // The answer that is on its way may be the one of before.
    const question = this.#asking.get(hash);
    if (question) question.outdated = true;
    this.#asking.delete(hash);
  }

  #confirm(hash: string, known: Known | undefined): Promise<KeyRecord | undefined> {
    const asked = this.#asking.get(hash);
    if (asked) return asked.answer;
    const question: Question = { outdated: false, answer: Promise.resolve(undefined) };
    question.answer = this.#ask(hash, known, question).finally(() => {
      if (this.#asking.get(hash) === question) this.#asking.delete(hash);
    });
    this.#asking.set(hash, question);
    return question.answer;
  }

  async #ask(hash: string, known: Known | undefined, question: Question): Promise<KeyRecord | undefined> {
    const confirmedMs = this.#clock.monotonicMs();
    try {
      const record = await this.store.find(hash);
      if (!question.outdated) this.#keep(hash, { record, confirmedMs });
      return record;
    } catch (cause) {
      if (!(cause instanceof StoreUnavailable)) throw cause;
      if (known?.record && this.#clock.monotonicMs() - known.confirmedMs < this.#maxStaleMs) return known.record;
      throw new WeirError('AUTH_UNAVAILABLE', { retryAfterS: 1, cause });
    }
  }

  #keep(hash: string, known: Known): void {
    this.#known.delete(hash);
    this.#known.set(hash, known);
    if (this.#known.size <= maxKnown) return;
    for (const oldest of this.#known.keys()) {
      this.#known.delete(oldest);
      return;
    }
  }
}
