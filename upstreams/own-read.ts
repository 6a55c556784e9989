import { newCall, type CallOptions } from './call.ts';
import { Answer } from './client/answer.ts';
import { ownContext } from './own-context.ts';
import type { Upstream } from './upstream.ts';

export interface OwnRequest {
  readonly method: 'GET' | 'POST';
  /** Path and query. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
}

/**
 * A look-up that the gateway makes for itself, such as of an issuer's keys: through all layers, but nobody's and free.
 * @returns the JSON of the answer
 * @throws {WeirError} of the upstream's fault, a status other than 2xx included
 */
export function readOwn(upstream: Upstream, { method, path, headers = {}, body }: OwnRequest): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const options: CallOptions = { own: true, buffered: true, ...(body && { body }) };
    const context = ownContext(upstream.surroundings.clock);
    const call = newCall(context, method, path, { accept: 'application/json', ...headers }, options);
    new Answer(upstream, call, undefined, resolve, reject).send(undefined);
  });
}
