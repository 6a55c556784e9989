import type { RequestContext } from '#core/context.ts';
import type { Clock } from '#core/clock.ts';
import { WeirError } from '#core/errors.ts';

/** Why the request was cancelled, as whoever waits for `upstream` should hear it: a deadline names it and the time spent. */
export function cancelled(
  reason: WeirError,
  upstream: string | undefined,
  context: RequestContext,
  clock: Clock,
): WeirError {
  if (reason.code !== 'DEADLINE_EXCEEDED' || upstream === undefined) return reason;
  return deadlineExceeded(upstream, context, clock);
}

/** The request's time is over while `upstream` is being asked. */
export function deadlineExceeded(upstream: string, context: RequestContext, clock: Clock): WeirError {
  const elapsedMs = Math.round(clock.monotonicMs() - context.startedMs);
  return new WeirError('DEADLINE_EXCEEDED', {
    detail: `The time for the answer of '${upstream}' was over after ${elapsedMs} ms.`,
    upstream,
    extensions: { elapsedMs },
  });
}

/**
 * Settles as `work` does, or rejects once the request is cancelled, whatever `work` goes on to do: code of a module that
 * hangs on something other than an upstream cannot hold the answer.
 */
export function untilCancelled<T>(
  work: Promise<T>,
  upstream: string | undefined,
  context: RequestContext,
  clock: Clock,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const { cancellation } = context;
    const token = cancellation.on((reason) => reject(cancelled(reason, upstream, context, clock)));
    const settle = (): void => {
      cancellation.off(token);
      resolve(work);
    };
    work.then(settle, settle);
  });
}
