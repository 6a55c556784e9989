import { decodeJwt, decodeProtectedHeader } from 'jose';
import { InvalidCredential } from '../invalid-credential.ts';

/** What an unverified token says of itself: enough to choose who verifies it, and believed for nothing else. */
export interface TokenHead {
  readonly alg: string;
  readonly kid: string | undefined;
  readonly issuer: string;
}

/** Longer ones are no tokens: the largest that identity providers make stay well below. */
const maxTokenChars = 16 * 1024;

const maxKidChars = 256;

/** Whether a bearer token is a JWS in its compact form (RFC 7515 §3.1), and not an opaque one. */
export function looksLikeJwt(token: string): boolean {
  return token.startsWith('eyJ') && token.split('.', 4).length === 3;
}

/** @throws {InvalidCredential} for what no honest issuer makes */
export function readHead(token: string): TokenHead {
  if (token.length > maxTokenChars) throw new InvalidCredential('it is too long');
  const { header, payload } = decode(token);
  // RFC 8725 §3.5, §3.10: keys come from the configuration; a token that brings or points to its own is a forgery.
  for (const name of ['jwk', 'jku', 'x5c', 'x5u', 'crit', 'b64']) {
    if (Object.hasOwn(header, name)) throw new InvalidCredential(`its header has ${name}`);
  }
  const { alg, kid } = header;
  if (typeof alg !== 'string') throw new InvalidCredential('it has no algorithm');
  if (kid !== undefined && (typeof kid !== 'string' || kid.length > maxKidChars))
    throw new InvalidCredential('its kid is not right');
  if (typeof payload.iss !== 'string') throw new InvalidCredential('it has no issuer');
  return { alg, kid, issuer: payload.iss };
}

function decode(token: string) {
  try {
    return { header: decodeProtectedHeader(token), payload: decodeJwt(token) };
  } catch {
    throw new InvalidCredential('it cannot be read');
  }
}
