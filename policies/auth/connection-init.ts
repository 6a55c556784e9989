import type { RequestContext } from '#core/context.ts';
import type { Headers } from '#core/headers.ts';
import { identify, type Verifiers } from './authenticate.ts';
import { demand } from './authorize.ts';

/**
 * Lets a WebSocket in by what its `connection_init` says: browsers cannot set headers on one, so the credential is in the
 * payload, under the names that headers have. Without any there, what the handshake showed counts.
 * @throws {WeirError} `UNAUTHENTICATED`, `FORBIDDEN`, `CREDENTIALS_CONFLICT`, `AUTH_UNAVAILABLE`, `BAD_REQUEST`, `BLOCKED`
 */
export async function admitConnection(
  verifiers: Verifiers,
  context: RequestContext,
  payload: Readonly<Record<string, unknown>> | undefined,
): Promise<void> {
  const headers: Headers = {};
  for (const [name, value] of Object.entries(payload ?? {})) {
    const header = name.toLowerCase();
    if (typeof value === 'string' && (header === 'authorization' || header === verifiers.keyHeader))
      headers[header] = value;
  }
  await identify(verifiers, headers, context);
  verifiers.blocked.checkConsumer(context);
  demand(context);
}
