import { expect, test } from 'vitest';
import type { RequestContext } from '#core/context.ts';
import { askedAt } from '#upstreams/cache/audience.ts';

const asked = (host: string, proto: string, told = host) =>
  askedAt({ host, forwarded: { proto, host: told } } as RequestContext);

test('The host and scheme that was asked is told apart from every other, the first time and again, and where none is named (HTTP/1.0)', () => {
  for (let time = 0; time < 2; time++) {
    expect([asked('', 'http'), asked('', 'https')]).toEqual(['http ', '']);
    expect([asked('a', 'http'), asked('a', 'https'), asked('b', 'http')]).toEqual(['http a', 'a', 'http b']);
  }
});

test('So is what a trusted proxy says of them', () => {
  expect(new Set([asked('a', 'http'), asked('a', 'http', 'b'), asked('b', 'http', 'a'), asked('b', 'http')]).size).toBe(
    4,
  );
  expect(asked('a', 'https', 'b')).not.toBe(asked('a', 'http', 'b'));
});
