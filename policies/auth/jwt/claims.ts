import type { IssuerSettings } from '../settings.ts';

type Claims = Readonly<Record<string, unknown>>;

/** What a token says of who shows it, under the names that its issuer uses. */
export interface ClaimedIdentity {
  readonly consumer: string | undefined;
  readonly subject: string | undefined;
  readonly tier: string | undefined;
  readonly roles: readonly string[];
  readonly scopes: readonly string[];
}

export function readClaims(claims: Claims, names: IssuerSettings['claims']): ClaimedIdentity {
  return {
    consumer: text(first(claims, names.consumer)),
    subject: text(first(claims, names.subject)),
    tier: text(first(claims, names.tier)),
    roles: words(first(claims, names.roles)),
    scopes: words(first(claims, names.scopes)),
  };
}

function first(claims: Claims, names: readonly string[]): unknown {
  for (const name of names) {
    // Names of claims may hold dots themselves, as URLs do (RFC 7519 §4.2).
    const value = Object.hasOwn(claims, name) ? claims[name] : within(claims, name.split('.'));
    if (value !== undefined && value !== null) return value;
  }
  return undefined;
}

function within(claims: unknown, path: readonly string[]): unknown {
  let value = claims;
  for (const name of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as Claims)[name];
  }
  return value;
}

/** What becomes a header must be fit for one (RFC 9110 §5.5), and what becomes a list must have no separator in it. */
const plain = /^[\x21-\x2b\x2d-\x7e]{1,256}$/;

function text(value: unknown): string | undefined {
  const written = typeof value === 'number' ? String(value) : value;
  return typeof written === 'string' && plain.test(written) ? written : undefined;
}

function words(value: unknown): string[] {
  const list = typeof value === 'string' ? value.split(' ') : value;
  if (!Array.isArray(list)) return [];
  return list.filter((word): word is string => typeof word === 'string' && plain.test(word)).slice(0, 200);
}
