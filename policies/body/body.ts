import type { RequestContext } from '#core/context.ts';
import { WeirError } from '#core/errors.ts';

/**
 * Reads the body, within the route's bound, if the route's door wants it whole; a longer one, or one whose length is not
 * known, is left to be passed on as a stream, bounded there.
 */
export function body(context: RequestContext): void | Promise<void> {
  const { incoming, route } = context;
  if (!route || incoming.length === 0) return undefined;
  if (incoming.length !== undefined && incoming.length > route.maxBodyBytes) {
    throw new WeirError('BODY_TOO_LARGE', { detail: `The body may have at most ${route.maxBodyBytes} bytes.` });
  }
  if ((incoming.length ?? Number.POSITIVE_INFINITY) > route.bufferBytes) return undefined;
  return incoming.read(route.maxBodyBytes).then((bytes) => {
    context.body = bytes;
    context.requestBytes = bytes.length;
  });
}
