import { Cancellation } from '#core/cancellation.ts';
import type { Clock } from '#core/clock.ts';
import type { RequestContext } from '#core/context.ts';
import { WeirError } from '#core/errors.ts';

/**
 * What upstream calls get to come back with their own DEADLINE_EXCEEDED, which names them, before everything else that is
 * under way is cancelled.
 */
const graceMs = 50;

const longestTimerMs = 2 ** 31 - 1;

/** Cancels what is under way for the request when its deadline has passed. @returns what takes that back */
export function enforceDeadline({ cancellation, deadlineMs }: RequestContext, clock: Clock): () => void {
  const leftMs = Math.ceil(deadlineMs - clock.monotonicMs()) + graceMs;
  const timer = setTimeout(
    () => cancellation.cancel(new WeirError('DEADLINE_EXCEEDED')),
    Math.min(leftMs, longestTimerMs),
  );
  return () => clearTimeout(timer);
}

/** Calls `due` at a monotonic time, or never if that is further off than anything. @returns what takes that back */
export function at(timeMs: number, clock: Clock, due: () => void): () => void {
  const leftMs = Math.ceil(timeMs - clock.monotonicMs());
  const timer = leftMs <= longestTimerMs ? setTimeout(due, leftMs) : undefined;
  return () => clearTimeout(timer);
}

/** A cancellation that follows `parent`, and can come before it. @returns it, and what cuts it loose */
export function followingCancellation(parent: Cancellation): {
  readonly cancellation: Cancellation;
  readonly loose: () => void;
} {
  const cancellation = new Cancellation();
  const link = parent.on((reason) => cancellation.cancel(reason));
  return { cancellation, loose: () => parent.off(link) };
}
