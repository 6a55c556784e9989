/**
 * How much of what comes in may be let through, so that the event loop's lag stays at its bound: a proportional-integral
 * controller as RFC 8033 §4.2 has it for queues. It steers the logarithm of the share, and so is as calm at ten times what
 * the process can do as it is at twice.
 */

/** Of the integral part: what one second at twice the bound takes off the logarithm of the share. */
const integralPerS = 0.5;
/** Of the proportional part: what a lag of twice the bound takes off at once, and gives back when it is gone. */
const proportional = 1;
/** A stall counts as no more than so many times the bound above it: how long it lasted says little of how many came. */
const maxExcess = 2;
/** The least share; from here it is back at a half within a quarter of a minute. */
const minLog = Math.log(0.001);
/** A timer that was late says nothing of the time before it was due. */
const maxStepMs = 1_000;
/** Samples in a row above the bound before anything is refused: one alone is a collection of garbage or a lone stall. */
const patience = 2;

export class Pressure {
  readonly #maxLagMs: number;
  /** The integral part of the share's logarithm; 0 lets all through. */
  #integral = 0;
  #share = 1;
  #above = 0;

  constructor(maxLagMs: number) {
    this.#maxLagMs = maxLagMs;
  }

  /** Of all that comes in, what may be let through: 0.001 to 1. */
  get share(): number {
    return this.#share;
  }

  /** @param elapsedMs since the sample before */
  sample(lagMs: number, elapsedMs: number): void {
    const excess = Math.min(lagMs / this.#maxLagMs - 1, maxExcess);
    this.#above = excess > 0 ? this.#above + 1 : 0;
    if (this.#share === 1 && this.#above < patience) return;
    const step = integralPerS * excess * (Math.min(elapsedMs, maxStepMs) / 1_000);
    this.#integral = between(minLog, this.#integral - step, 0);
    this.#share = Math.exp(between(minLog, this.#integral - proportional * excess, 0));
  }
}

function between(least: number, value: number, most: number): number {
  return Math.min(most, Math.max(least, value));
}
