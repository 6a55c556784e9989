/** A process that lived this long was sound: its death is an accident, and the next one starts at once. */
const soundMs = 60_000;
const firstMs = 250;
const maxMs = 30_000;
/** So many deaths in a row are no accident any more. */
const loopingAfter = 5;

/** How long to wait before a process that has died is replaced: not at all the first time, then twice as long each time. */
export class Backoff {
  #deaths = 0;

  /** @returns milliseconds until the next one may start, 30 s at most */
  died(livedMs: number): number {
    this.#deaths = livedMs >= soundMs ? 1 : this.#deaths + 1;
    return this.#deaths === 1 ? 0 : Math.min(maxMs, firstMs * 2 ** (this.#deaths - 2));
  }

  /** Process after process dies before it could prove itself. */
  get looping(): boolean {
    return this.#deaths >= loopingAfter;
  }
}
