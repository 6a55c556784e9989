import type { RequestContext } from '#core/context.ts';
import { toWeirError } from '#core/errors.ts';
import type { Standing } from '#core/reservation.ts';
import type { Limits } from '#policies/limits/limits.ts';
import { replyWithError } from '#gateway/http/error-reply.ts';

export const limitsPath = '/limits';

/** Tells a consumer what is left of its quotas. */
export function answerLimits(context: RequestContext, limits: Pick<Limits, 'look'>): void {
  try {
    const seen = limits.look(context);
    if (seen instanceof Promise)
      seen
        .then((standing) => answer(context, standing))
        .catch((error: unknown) => replyWithError(context, toWeirError(error)));
    else answer(context, seen);
  } catch (error) {
    replyWithError(context, toWeirError(error));
  }
}

function answer({ identity, reply }: RequestContext, limits: readonly Standing[]): void {
  const { consumer, tier } = identity;
  const body = Buffer.from(JSON.stringify({ consumer, tier, limits }));
  reply.head(200, {
    'content-type': 'application/json',
    'cache-control': 'no-store',
    'content-length': String(body.length),
  });
  reply.end(body);
}
