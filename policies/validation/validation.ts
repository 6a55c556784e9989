import type { RequestContext } from '#core/context.ts';

/** Holds a request to the API of its route, where the route asks for that. */
export function validation(context: RequestContext): void {
  context.route?.checkRequest?.(context);
}
