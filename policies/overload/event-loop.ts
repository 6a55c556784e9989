import { performance } from 'node:perf_hooks';

/** Short beside any lag worth acting on, long beside what a timer costs. */
const everyMs = 50;

export interface EventLoopLook {
  /** How late a timer ran. */
  readonly lagMs: number;
  /** Since the look before. */
  readonly elapsedMs: number;
  /** Share of that in which the loop was at work, 0 to 1. A process that others keep from its processor is late, but idle. */
  readonly utilization: number;
}

/**
 * Looks twenty times a second how the event loop is; one that takes longer than that for a turn is looked at each turn.
 * @returns a function that stops it
 */
export function watchEventLoop(look: (seen: EventLoopLook) => void): () => void {
  let lastMs = performance.now();
  let last = performance.eventLoopUtilization();
  const timer = setInterval(() => {
    const nowMs = performance.now();
    const elapsedMs = nowMs - lastMs;
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, last);
    lastMs = nowMs;
    last = now;
    look({ lagMs: Math.max(0, elapsedMs - everyMs), elapsedMs, utilization });
  }, everyMs).unref();
  return () => clearInterval(timer);
}
