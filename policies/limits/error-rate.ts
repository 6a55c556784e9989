/** Calls since the start, and of these the ones that failed or were refused. Both only ever grow. */
export interface CallTotals {
  readonly calls: number;
  readonly errors: number;
}

interface Sample extends CallTotals {
  readonly atMs: number;
}

/** A window is looked at in so many steps: it reaches back a twentieth too far at most. */
const steps = 20;

/** What has become of the calls of the last while, from totals that are looked at now and then: in constant memory. */
export class ErrorRate {
  readonly #overMs: number;
  /** Oldest first; the first is the last one that is as old as the window, once there is one. */
  readonly #samples: Sample[] = [];

  constructor(overMs: number) {
    this.#overMs = overMs;
  }

  /** @returns the calls of the window, or of the time that it has been looked at */
  look(nowMs: number, { calls, errors }: CallTotals): CallTotals {
    const samples = this.#samples;
    const newest = samples.at(-1);
    // Of other upstreams than before, after a reload.
    if (newest && (calls < newest.calls || errors < newest.errors)) samples.length = 0;
    const last = samples.at(-1);
    if (!last || nowMs - last.atMs >= this.#overMs / steps) samples.push({ atMs: nowMs, calls, errors });
    while (samples.length > 1 && samples[1]!.atMs <= nowMs - this.#overMs) samples.shift();
    const oldest = samples[0]!;
    return { calls: calls - oldest.calls, errors: errors - oldest.errors };
  }
}
