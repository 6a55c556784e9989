import type { Clock } from '#core/clock.ts';

/** The last five minutes are ten slots of half a minute, of which the oldest is emptied for the next. */
const slotMs = 30_000;
const slotCount = 10;

/**
 * What became of the reads that fields of operations have had of one upstream in the last minutes, in constant memory: how
 * likely the next one is answered from the store.
 */
export class RecentReads {
  readonly #clock: Clock;
  readonly #reads = new Uint32Array(slotCount);
  readonly #stored = new Uint32Array(slotCount);
  /** Counted from the clock's beginning, not round the ring. */
  #slot = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @param stored it was answered from the store, without a call */
  count(stored: boolean): void {
    const index = this.#turn();
    this.#reads[index]!++;
    if (stored) this.#stored[index]!++;
  }

  /** The part that was answered from the store, 0 to 1, to the hundredth; undefined where there were no reads. */
  get fromStore(): number | undefined {
    this.#turn();
    let [reads, stored] = [0, 0];
    for (let slot = 0; slot < slotCount; slot++) {
      reads += this.#reads[slot]!;
      stored += this.#stored[slot]!;
    }
    return reads === 0 ? undefined : Math.round((100 * stored) / reads) / 100;
  }

  /** Empties the slots that time has passed over. @returns where the one at hand is */
  #turn(): number {
    const slot = Math.floor(this.#clock.monotonicMs() / slotMs);
    const passed = slot - this.#slot;
    for (let back = 0; back < Math.min(passed, slotCount); back++) {
      this.#reads[(slot - back) % slotCount] = 0;
      this.#stored[(slot - back) % slotCount] = 0;
    }
    this.#slot = slot;
    return slot % slotCount;
  }
}
