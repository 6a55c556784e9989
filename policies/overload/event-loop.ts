import { performance } from 'node:perf_hooks';

/** Short beside any lag worth acting on, long beside what a timer costs. */
const everyMs = 50;

/**
 * Looks twenty times a second how late the event loop runs a timer; a loop that takes longer than that for one turn is
 * looked at once each turn. Of what it was late, the share counts in which it was at work: a process that is kept from its
 * processor by others is late too, and refusing requests would not mend that.
 * @returns a function that stops it
 */
export function watchEventLoop(sample: (lagMs: number, elapsedMs: number) => void): () => void {
  let lastMs = performance.now();
  let last = performance.eventLoopUtilization();
  const timer = setInterval(() => {
    const nowMs = performance.now();
    const elapsedMs = nowMs - lastMs;
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, last);
    lastMs = nowMs;
    last = now;
    sample(Math.max(0, elapsedMs - everyMs) * utilization, elapsedMs);
  }, everyMs).unref();
  return () => clearInterval(timer);
}
