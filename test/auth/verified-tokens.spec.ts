import { describe, expect, test } from 'vitest';
import { VerifiedTokens, type TokenPrincipal } from '#policies/auth/jwt/verified-tokens.ts';
import { TestClock } from '../support/clock.ts';

/** A token that is good until then, as far as its key is still there. */
function token(expiresMs = Number.POSITIVE_INFINITY, key = { retired: false }): TokenPrincipal {
  const identity = { consumer: 'acme', tier: 'pro', roles: [], scopes: [], subject: undefined, claims: {}, expiresMs };
  return { identity: { ...identity, credential: 'jwt' }, holds: () => !key.retired, boundTo: undefined };
}

/** Issue 4: verified tokens are cached by digest, bounded, until expiry or until their key leaves the set. */
describe('Tokens that have been verified', () => {
  test('are known up to a number, those that were not shown for longest forgotten first', () => {
    const tokens = new VerifiedTokens(3, new TestClock());
    for (const digest of ['a', 'b', 'c']) tokens.add(digest, token());
    expect(tokens.get('a')).toBeDefined();
    tokens.add('d', token());
    expect(['a', 'b', 'c', 'd'].filter((digest) => tokens.get(digest))).toEqual(['a', 'c', 'd']);
  });

  test('are known until they expire', () => {
    const clock = new TestClock();
    const tokens = new VerifiedTokens(3, clock);
    tokens.add('a', token(clock.epochMs() + 1_000));
    clock.advance(999);
    expect(tokens.get('a')).toBeDefined();
    clock.advance(1);
    expect(tokens.get('a')).toBeUndefined();
  });

  test('are known until their key leaves the set, and are not taken back if it returns', () => {
    const tokens = new VerifiedTokens(3, new TestClock());
    const key = { retired: false };
    tokens.add('a', token(undefined, key));
    key.retired = true;
    expect(tokens.get('a')).toBeUndefined();
    key.retired = false;
    expect(tokens.get('a')).toBeUndefined();
  });

  test('are not kept at all with a cache of 0', () => {
    const tokens = new VerifiedTokens(0, new TestClock());
    tokens.add('a', token());
    expect(tokens.get('a')).toBeUndefined();
  });
});
