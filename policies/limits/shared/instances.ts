import { randomUUID } from 'node:crypto';
import type { SharedStore } from '#core/shared-store.ts';
import { beatScript } from './scripts.ts';

/** The instances that share a store, as far as it has been heard: for when each has to go by its share. */
export class Instances {
  readonly #store: SharedStore;
  readonly #key: string;
  readonly #name = randomUUID();
  /** Last heard. */
  live: number;

  /** @param atLeast those that are known of without asking */
  constructor(store: SharedStore, atLeast: number) {
    this.#store = store;
    this.#key = `${store.prefix}-:limit:{instances}`;
    this.live = atLeast;
  }

  /**
   * Says that this one is there.
   * @returns the server's time
   * @throws {StoreUnavailable | Error} when the store does not answer
   */
  async beat(): Promise<number> {
    const [now, live] = (await this.#store.run(beatScript, [this.#key], [this.#name])) as [number, number];
    this.live = Math.max(1, live);
    return now;
  }

  /** Says that this one is gone. */
  async leave(): Promise<void> {
    await this.#store.call('ZREM', this.#key, this.#name).catch(() => {});
  }
}
