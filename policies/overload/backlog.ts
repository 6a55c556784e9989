/** In which what was seen counts for a third. */
const memoryMs = 1_000;

/** Share of its time that the event loop is at work, from which on what is in flight has to wait for it. */
const busy = 0.9;

/** The same of one look: it does nothing else. */
const saturated = 0.95;

/** What is under way at once is worth so many milliseconds of work: a burst, while the loop has time to spare. */
const spareMs = 100;

/** The same once it does nothing else, */
const saturatedMs = 25;

/** and no less than this, however long it does. */
const leastMs = 4;

/**
 * With each look that the loop does nothing else less is under way, and more with each that it does not: as little as keeps it
 * at work. What lies about in turns costs it more, since its memory is looked through and goes from the processor's caches.
 */
const narrower = 0.8;
const wider = 2;

/** However long each takes; it may be waiting for others than this process. */
const leastSaturated = 4;
const leastSpare = 64;

/**
 * How long the event loop would take to work off what is in flight. A loop that has more to do than it can do is not
 * always late in its single turns, since most of what waits is not ready in any one of them; but everything that is in
 * flight will want its time. What it will want is what others took, and it only queues for it as far as the loop is busy.
 */
export class Backlog {
  /** Of the last seconds, the later the more: time at work, time, and requests that have begun and ended. */
  #workMs = 0;
  #timeMs = 0;
  #begun = 0;
  #ended = 0;
  /** Looks in a row at a loop that did nothing else. */
  #saturated = 0;
  #atOnceMs = spareMs;

  /**
   * @param begun since the look before
   * @param ended since then
   * @param elapsedMs since then
   * @param utilization share of it that the event loop was at work, 0 to 1
   */
  look(begun: number, ended: number, elapsedMs: number, utilization: number): void {
    const kept = Math.exp(-elapsedMs / memoryMs);
    // A long stall is no more than what is remembered.
    const timeMs = Math.min(elapsedMs, memoryMs);
    this.#workMs = this.#workMs * kept + timeMs * utilization;
    this.#timeMs = this.#timeMs * kept + timeMs;
    this.#begun = this.#begun * kept + begun;
    this.#ended = this.#ended * kept + ended;
    this.#saturated = utilization >= saturated ? this.#saturated + 1 : 0;
    if (this.#saturated === 0) this.#atOnceMs = Math.min(spareMs, this.#atOnceMs * wider);
    else if (this.#isSaturated) this.#atOnceMs = Math.max(leastMs, Math.min(saturatedMs, this.#atOnceMs * narrower));
  }

  /**
   * Milliseconds that so many requests would take; 0 for a loop that has time to spare.
   * @param mostMs a greater number is of no use to the caller
   */
  of(inFlight: number, mostMs: number): number {
    const queued = Math.max(0, (this.#workMs / this.#timeMs - busy) / (1 - busy));
    // Bounded before it is weighed: a small change of how busy the loop is must not become a great one of the product.
    return queued * Math.min(inFlight * this.#costMs, mostMs);
  }

  /** How many requests a loop that is busy now works off within `ms`; without bound for one that is not. */
  within(ms: number): number {
    return this.#isSaturated && this.#costMs > 0 ? ms / this.#costMs : Number.POSITIVE_INFINITY;
  }

  /** How many requests are best under way at once: more would only lie about longer. */
  get atOnce(): number {
    const least = this.#atOnceMs === spareMs ? leastSpare : leastSaturated;
    return this.#costMs === 0 ? leastSpare : Math.max(least, this.#atOnceMs / this.#costMs);
  }

  get #isSaturated(): boolean {
    return this.#saturated >= 2;
  }

  /**
   * Of a request; 0 as long as none has ended, for then nobody knows. After silence many may have begun and been worked at
   * before the first of them ends, and not all of that work was its own; in the long run as many end as begin.
   */
  get #costMs(): number {
    return this.#ended < 1 ? 0 : this.#workMs / Math.max(this.#begun, this.#ended);
  }
}
