import type { ServerResponse } from 'node:http';
import type { Headers } from '#core/headers.ts';

const invited = new WeakSet<ServerResponse>();

/**
 * Asks a client that waits to be asked for its body (RFC 9110 §10.1.1): not before it is known that the body is wanted, so
 * that a refusal spares the client the sending. Node has kept it waiting since the host listens to `checkContinue`.
 */
export function invite(headers: Headers, response: ServerResponse): void {
  if (headers.expect === undefined || response.req.httpVersion !== '1.1') return;
  invited.add(response);
  response.writeContinue();
}

/** It waits to be asked, and is not: whether its body still comes, or its next request, nobody can tell. */
export function keptWaiting(response: ServerResponse): boolean {
  return response.req.headers.expect !== undefined && !invited.has(response);
}
