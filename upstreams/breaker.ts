import { CircuitState, circuitBreaker, handleAll, type CircuitBreakerPolicy, type IBreaker } from 'cockatiel';
import type { Clock } from '#core/clock.ts';
import type { Logger } from '#core/log.ts';
import type { UpstreamSettings } from './settings.ts';
import type { Surroundings } from './upstream.ts';

export type BreakerState = 'closed' | 'open' | 'half-open';

/** What an operator may hold a breaker to, whatever the calls say. */
export type ForcedState = 'closed' | 'open';

/** Opens after `failures` in a row, none further from the one before than `within`. */
class ConsecutiveWithin implements IBreaker {
  state = 0;
  failures: number;
  withinMs: number;
  readonly #clock: Clock;
  #lastMs = 0;

  constructor(failures: number, withinMs: number, clock: Clock) {
    this.failures = failures;
    this.withinMs = withinMs;
    this.#clock = clock;
  }

  success(): void {
    this.state = 0;
  }

  failure(): boolean {
    const now = this.#clock.monotonicMs();
    this.state = now - this.#lastMs > this.withinMs ? 1 : this.state + 1;
    this.#lastMs = now;
    return this.state >= this.failures;
  }
}

/** A call that the breaker let through, and the period of its state in which that was. */
export type Admission = number;

/** Of a call that an operator let through: no verdict is heard on it. */
const unjudged: Admission = -1;

/**
 * The breaker of one upstream, shared by every door. cockatiel keeps its state and is told each verdict when it is known;
 * who may call is decided here, by the gateway's own clock: cockatiel would make surplus callers of its half-open state wait
 * for the probes, and take a probe that ends without a verdict for a success.
 */
export class Breaker {
  #policy: CircuitBreakerPolicy;
  readonly #failures: ConsecutiveWithin;
  #successes: number;
  #openForMs: number;
  readonly #upstream: string;
  readonly #clock: Clock;
  readonly #log: Logger;
  #openedMs = 0;
  #forced: ForcedState | undefined;
  /** Wall clock: since when it is closed, or was opened, or an operator holds or let go of it. */
  #changedMs: number;
  /** Changes when it opens or closes: a verdict on a call of an earlier period says nothing of this one. */
  #period = 0;
  /** Probes of this half-open period that are under way or have succeeded. */
  #probes = 0;

  constructor(upstream: string, settings: UpstreamSettings['breaker'], { clock, log }: Surroundings) {
    this.#upstream = upstream;
    this.#successes = settings.successes;
    this.#openForMs = settings.openFor;
    this.#clock = clock;
    this.#log = log;
    this.#changedMs = clock.epochMs();
    this.#failures = new ConsecutiveWithin(settings.failures, settings.within, clock);
    this.#policy = this.#build(undefined);
  }

  /** Goes on in the state it is in, under other settings. */
  configure(settings: UpstreamSettings['breaker']): void {
    this.#failures.failures = settings.failures;
    this.#failures.withinMs = settings.within;
    this.#openForMs = settings.openFor;
    if (settings.successes === this.#successes) return;
    this.#successes = settings.successes;
    this.#policy = this.#build(this.#policy.toJSON());
    // Probes that are under way began under the other number.
    this.#period++;
    this.#probes = 0;
  }

  #build(initialState: unknown): CircuitBreakerPolicy {
    const upstream = this.#upstream;
    const log = this.#log;
    const policy = circuitBreaker(handleAll, {
      // At once as far as cockatiel is concerned, whose clock is the wall's.
      halfOpenAfter: Number.NEGATIVE_INFINITY,
      halfOpenSampling: { calls: this.#successes, threshold: 0 },
      breaker: this.#failures,
      initialState,
    });
    policy.onBreak(() => {
      this.#period++;
      this.#probes = 0;
      this.#openedMs = this.#clock.monotonicMs();
      this.#changedMs = this.#clock.epochMs();
      log.warn({ upstream, openForMs: this.#openForMs }, 'breaker opened');
    });
    policy.onHalfOpen(() => log.info({ upstream }, 'breaker half-open'));
    policy.onReset(() => {
      this.#period++;
      this.#changedMs = this.#clock.epochMs();
      log.info({ upstream }, 'breaker closed');
    });
    return policy;
  }

  /**
   * Holds it to a state until it is called with undefined: open refuses every call at once, closed lets every call through
   * whatever becomes of it. Verdicts are not heard meanwhile, so it goes on from where it was.
   */
  force(state: ForcedState | undefined): void {
    if (state === this.#forced) return;
    this.#forced = state;
    this.#changedMs = this.#clock.epochMs();
    this.#period++;
    this.#probes = 0;
  }

  get forced(): ForcedState | undefined {
    return this.#forced;
  }

  /** Wall clock milliseconds: since when it is in its state. */
  get sinceMs(): number {
    if (this.state !== 'half-open') return this.#changedMs;
    const restedMs = this.#clock.monotonicMs() - this.#openedMs - this.#openForMs;
    return Math.max(this.#changedMs, this.#clock.epochMs() - restedMs);
  }

  get state(): BreakerState {
    if (this.#forced !== undefined) return this.#forced;
    if (this.#policy.state === CircuitState.Closed) return 'closed';
    return this.restMs > 0 ? 'open' : 'half-open';
  }

  /** Milliseconds until an open breaker lets a probe through; of one that is held open, what it would say by itself. */
  get restMs(): number {
    if (this.#forced !== undefined) return this.#forced === 'open' ? this.#openForMs : 0;
    if (this.#policy.state === CircuitState.Closed) return 0;
    return Math.max(0, this.#openedMs + this.#openForMs - this.#clock.monotonicMs());
  }

  /** Lets a call through, or not: half-open, no more probes at once than may still be needed to close. */
  admit(): Admission | undefined {
    if (this.#forced !== undefined) return this.#forced === 'open' ? undefined : unjudged;
    if (this.#policy.state === CircuitState.Closed) return this.#period;
    if (this.restMs > 0 || this.#probes >= this.#successes) return undefined;
    this.#probes++;
    return this.#period;
  }

  /** Its verdict on a call is awaited to decide whether to close. */
  probes(admission: Admission): boolean {
    return admission === this.#period && this.#policy.state !== CircuitState.Closed;
  }

  /** What became of a call; to be said once for each. `undefined`: its end says nothing about the upstream. */
  judge(admission: Admission, success: boolean | undefined): void {
    if (admission !== this.#period) return;
    const closed = this.#policy.state === CircuitState.Closed;
    if (success === undefined) {
      if (!closed) this.#probes--;
    } else if (!(success && closed && this.#failures.state === 0)) {
      // What is left out is what nearly every call is: one more success where there was no failure.
      this.#policy.execute(success ? succeed : fail).catch(told);
    }
  }
}

function succeed(): void {}

function fail(): never {
  throw failure;
}

/** Carries nothing, since the answer took its own way. */
const failure = new Error('upstream failed');

function told(): void {}
