/** The place of one that has begun. */
const gone = (): void => {};

/** A turn of the event loop that is shorter has little in it, milliseconds; one that is longer, enough. */
const shortMs = 1;
const longMs = 2;

/** However little there is in a turn, no more begin in one for which there is no room. */
const mostAnyway = 64;

/** So many places may be empty before those that wait move up. */
const maxEmpty = 1_024;

/**
 * Where requests begin: in order, those that came in one turn of the event loop together at its end, and later while the loop
 * has more to do than it can do. Nothing has been done for those that wait, and what is under way goes first. Else a loop would
 * begin whatever comes in before it goes on with what it has begun: everything is under way, little ends, and what each has
 * read so far lives so long that the collector of garbage carries it from place to place (a third of the processor at 200
 * operations at once; docs/load.md). It bounds nothing: who may wait is decided before.
 */
export class RunQueue {
  /** How many may be under way before others wait. */
  most = Number.POSITIVE_INFINITY;
  readonly #waiting: (() => void)[] = [];
  /** Of those, the first that has not begun. */
  #first = 0;
  #going = false;
  /** When the last turn was over, and how many begin in this one, whatever is under way. */
  #turnedMs = 0;
  #anyway = 1;
  readonly #begun: () => number;
  readonly #soon: (turn: () => void) => void;
  readonly #nowMs: () => number;

  /**
   * @param begun how many are under way
   * @param soon calls what it is given once, at the end of this turn of the event loop
   * @param nowMs a clock that never goes back
   */
  constructor(
    begun: () => number,
    soon: (turn: () => void) => void = setImmediate,
    nowMs: () => number = () => performance.now(),
  ) {
    this.#begun = begun;
    this.#soon = soon;
    this.#nowMs = nowMs;
  }

  get waiting(): number {
    return this.#waiting.length - this.#first;
  }

  /** @param underWay with the one that asks whether it need not wait */
  free(underWay: number): boolean {
    return this.waiting === 0 && underWay <= this.most;
  }

  /** @param begin is called at the end of this turn of the event loop or of a later one, and must not throw */
  wait(begin: () => void): void {
    this.#waiting.push(begin);
    this.#goOn();
  }

  #goOn(): void {
    if (this.#going || this.waiting === 0) return;
    this.#going = true;
    this.#soon(this.#turn);
  }

  /**
   * All that was ready in this turn of the event loop has had its turn. One more begins in any case, and more and more as long
   * as turns are short: what is under way may wait for others than this process, and nobody is to wait for a loop that has time.
   */
  readonly #turn = (): void => {
    this.#going = false;
    const nowMs = this.#nowMs();
    const tookMs = nowMs - this.#turnedMs;
    if (tookMs > longMs) this.#anyway = 1;
    else if (tookMs < shortMs) this.#anyway = Math.min(mostAnyway, 2 * this.#anyway);
    for (let begun = 0; this.waiting > 0 && (begun < this.#anyway || this.#begun() < this.most); begun++) {
      const begin = this.#waiting[this.#first]!;
      this.#waiting[this.#first++] = gone;
      begin();
    }
    if (this.waiting === 0 || this.#first >= maxEmpty) {
      this.#waiting.splice(0, this.#first);
      this.#first = 0;
    }
    this.#turnedMs = nowMs;
    this.#goOn();
  };
}
