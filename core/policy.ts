import type { RequestContext } from './context.ts';

/**
 * One rule that every request passes, as a plain function over the request. It refuses by throwing a `WeirError`, answers
 * for good by ending the reply, and returns a promise only if it has to wait.
 */
export type Policy = (context: RequestContext) => void | Promise<void>;
