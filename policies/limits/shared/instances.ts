import { randomUUID } from 'node:crypto';
import type { Clock } from '#core/clock.ts';
import type { SharedStore } from '#core/shared-store.ts';
import { beatScript, goneMs } from './scripts.ts';

/**
 * The instances that share a store, as far as it has been heard: for when each has to go by its share. More are believed at once,
 * fewer only when no more have been heard of for as long as it takes to say so again: a store that comes back empty has yet to
 * hear of most of them, and if it went once more, whoever came first would take the share of all.
 */
export class Instances {
  readonly #store: SharedStore;
  readonly #key: string;
  readonly #name = randomUUID();
  readonly #clock: Clock;
  /** As many as there are to share with. */
  live: number;
  /** Since when fewer are heard of, and the most of them. */
  #fewerSinceMs: number | undefined;
  #fewer = 0;

  /** @param atLeast those that are known of without asking */
  constructor(store: SharedStore, clock: Clock, atLeast: number) {
    this.#store = store;
    this.#clock = clock;
    this.#key = `${store.prefix}-:limit:{instances}`;
    this.live = atLeast;
  }

  /**
   * Says that this one is there.
   * @returns the server's time
   * @throws {StoreUnavailable | Error} when the store does not answer
   */
  async beat(): Promise<number> {
    const [now, heard] = (await this.#store.run(beatScript, [this.#key], [this.#name])) as [number, number];
    this.#hear(Math.max(1, heard));
    return now;
  }

  /** Says that this one is gone. */
  async leave(): Promise<void> {
    await this.#store.call('ZREM', this.#key, this.#name).catch(() => {});
  }

  #hear(heard: number): void {
    if (heard >= this.live) {
      this.live = heard;
      this.#fewerSinceMs = undefined;
      return;
    }
    const nowMs = this.#clock.monotonicMs();
    if (this.#fewerSinceMs === undefined) {
      this.#fewerSinceMs = nowMs;
      this.#fewer = heard;
    }
    this.#fewer = Math.max(this.#fewer, heard);
    if (nowMs - this.#fewerSinceMs < goneMs) return;
    this.live = this.#fewer;
    this.#fewerSinceMs = undefined;
  }
}
