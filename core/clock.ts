/** Time as a port, so that a test can stand at a boundary instead of waiting for it. */
export interface Clock {
  /** Milliseconds that only ever grow; for durations and deadlines. */
  monotonicMs(): number;
  /** Milliseconds since 1970, as the wall clock says; for what is printed or compared across machines. */
  epochMs(): number;
}

export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  epochMs: () => Date.now(),
};
