/**
 * How much of what comes in may be let through, so that the event loop's lag stays within its bound: a proportional-integral
 * controller as RFC 8033 §4.2 has it for queues. It steers the logarithm of the share, and so is as calm at ten times what
 * the process can do as it is at twice.
 */

/**
 * Of the bound, what the lag is brought down to once requests are refused: what is in flight waits for nothing but the loop
 * then. Much less, and what waits between two looks would be all there is.
 */
const steered = 0.3;
/** Of the integral part: what one second of a lag that is a bound above the aim takes off the logarithm of the share. */
const integralPerS = 0.5;
/** Of the proportional part: what such a lag takes off at once, and gives back when it is gone. */
const proportional = 1;
/** So far below the aim the flood is over, and what was learnt of it is forgotten so many times as fast. */
const calm = -0.12;
const faster = 12;
/** More bounds above the aim than so many count no further: how long a stall was says little of how many came. */
const maxExcess = 2;
/** The least share; from here it is back at a half within a quarter of a minute. */
const minLog = Math.log(0.001);
/** A look that was late says nothing of the time before it was due. */
const maxStepMs = 1_000;
/**
 * How long the lag may be at twice the bound before anything is refused, or half as long at three times: a collection of
 * garbage, a lone stall or a burst is no overload. Time below the bound gives it back.
 */
const patienceMs = 1_000;

export class Pressure {
  readonly #maxLagMs: number;
  /** The integral part of the share's logarithm; 0 lets all through. */
  #integral = 0;
  #share = 1;
  /** Milliseconds above the bound, each as often as it was above. */
  #above = 0;

  constructor(maxLagMs: number) {
    this.#maxLagMs = maxLagMs;
  }

  /** Of all that comes in, what may be let through: 0.001 to 1. */
  get share(): number {
    return this.#share;
  }

  /** The lag that is worked towards. */
  get aimMs(): number {
    return this.#share === 1 ? this.#maxLagMs : this.#maxLagMs * steered;
  }

  /** The lag from which on more makes no difference. */
  get mostMs(): number {
    return this.#maxLagMs * (1 + maxExcess);
  }

  /** @param elapsedMs since the look before */
  look(lagMs: number, elapsedMs: number): void {
    const excess = Math.min((lagMs - this.aimMs) / this.#maxLagMs, maxExcess);
    const stepMs = Math.min(elapsedMs, maxStepMs);
    // The first look above the bound says nothing of the time before it.
    const first = excess > 0 && this.#above === 0;
    this.#above = first ? 1 : between(0, this.#above + stepMs * excess, patienceMs);
    if (this.#share === 1 && this.#above < patienceMs) return;
    const perS = excess < calm ? integralPerS * faster : integralPerS;
    this.#integral = between(minLog, this.#integral - perS * excess * (stepMs / 1_000), 0);
    this.#share = Math.exp(between(minLog, this.#integral - proportional * excess, 0));
  }
}

function between(least: number, value: number, most: number): number {
  return Math.min(most, Math.max(least, value));
}
