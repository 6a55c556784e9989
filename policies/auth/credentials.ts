import type { CredentialKind } from '#core/identity.ts';
import { firstValue, type Headers } from '#core/headers.ts';
import { WeirError } from '#core/errors.ts';
import type { Requirement } from '#core/route.ts';
import { looksLikeJwt } from './jwt/token-head.ts';

/** A credential as it was shown. */
export interface Shown {
  readonly kind: CredentialKind;
  readonly text: string;
}

/** RFC 6750 §2.1: `Bearer`, in any case (RFC 9110 §11.1), and one token of the characters it may have. */
const bearer = /^Bearer +([A-Za-z0-9\-._~+/]+=*) *$/i;

/** Longer keys are none. */
const maxKeyChars = 256;

/**
 * The credentials that a request shows, of kinds that the gateway knows and the route accepts. Others are not looked at.
 * @throws {WeirError} `BAD_REQUEST` for one that can be read in two ways
 */
export function credentialsOf(
  headers: Headers,
  keyHeader: string,
  kinds: ReadonlySet<CredentialKind>,
  { accept }: Requirement,
): readonly Shown[] {
  const shown: Shown[] = [];
  const { authorization } = headers;
  if (authorization !== undefined && (kinds.has('jwt') || kinds.has('introspection'))) {
    const text = bearerToken(authorization);
    const kind = text === undefined ? undefined : kindOf(text, kinds);
    if (text !== undefined && kind && (!accept || accept.has(kind))) shown.push({ kind, text });
  }
  const key = headers[keyHeader];
  if (key !== undefined && kinds.has('apiKey') && (!accept || accept.has('apiKey'))) {
    const text = firstValue(key) ?? '';
    if (Array.isArray(key) ? key.length > 1 : text.includes(','))
      throw new WeirError('BAD_REQUEST', { detail: `The header ${keyHeader} is given twice.` });
    shown.push({ kind: 'apiKey', text: text.slice(0, maxKeyChars) });
  }
  return shown;
}

/** A bearer token that is no JWT is opaque; with only one kind to check it with, it is of that kind (RFC 7662 §1). */
function kindOf(token: string, kinds: ReadonlySet<CredentialKind>): CredentialKind {
  if (!kinds.has('introspection')) return 'jwt';
  return kinds.has('jwt') && looksLikeJwt(token) ? 'jwt' : 'introspection';
}

/** Of another scheme, none: it may be meant for somebody else. */
function bearerToken(authorization: string | string[]): string | undefined {
  const value = firstValue(authorization) ?? '';
  if (!/^Bearer\b/i.test(value)) return undefined;
  const token = bearer.exec(value)?.[1];
  // RFC 6750 §3.1: invalid_request. node:http keeps the first of two Authorization fields; joined ones have a comma.
  if (token === undefined)
    throw new WeirError('BAD_REQUEST', { detail: 'The Authorization header is no Bearer token.' });
  return token;
}
