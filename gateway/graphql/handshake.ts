import type { RequestContext } from '#core/context.ts';
import { WeirError } from '#core/errors.ts';
import { firstValue } from '#core/headers.ts';

/** RFC 9110 §5.6.2. */
const token = /^[!#$%&'*+.^_`|~\w-]+$/;

/**
 * RFC 6455 §4.2.1: what a request must have that asks for a WebSocket. Checked here, since who completes the handshake would
 * refuse it in a form that is none of ours.
 * @throws {WeirError} `UPGRADE_REFUSED`, `BAD_REQUEST`
 */
export function checkHandshake({ headers }: RequestContext): void {
  if (firstValue(headers['sec-websocket-version']) !== '13') {
    // RFC 6455 §4.4: the answer says which it would be.
    throw new WeirError('UPGRADE_REFUSED', { headers: { upgrade: 'websocket', 'sec-websocket-version': '13' } });
  }
  if (!/^[+/0-9A-Za-z]{22}==$/.test(firstValue(headers['sec-websocket-key']) ?? '')) {
    throw new WeirError('BAD_REQUEST', { detail: 'Sec-WebSocket-Key must be 16 bytes in Base64.' });
  }
  const offered =
    firstValue(headers['sec-websocket-protocol'])
      ?.split(',')
      // RFC 9110 §5.6.3: no other space counts as such.
      .map((name) => name.replace(/^[\t ]+|[\t ]+$/g, '')) ?? [];
  if (!offered.every((name) => token.test(name)) || new Set(offered).size < offered.length) {
    throw new WeirError('BAD_REQUEST', {
      detail: 'Sec-WebSocket-Protocol must be a list of names, each of them once.',
    });
  }
}
