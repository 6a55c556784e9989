import { expect, test } from 'vitest';
import type { RequestContext } from '#core/context.ts';
import { askedAt } from '#upstreams/cache/audience.ts';

const asked = (host: string, proto: string) => askedAt({ host, forwarded: { proto } } as RequestContext);

test('The host and scheme that was asked is told apart from every other, the first time and again, and where none is named (HTTP/1.0)', () => {
  for (let time = 0; time < 2; time++) {
    expect([asked('', 'http'), asked('', 'https')]).toEqual(['http ', '']);
    expect([asked('a', 'http'), asked('a', 'https'), asked('b', 'http')]).toEqual(['http a', 'a', 'http b']);
  }
});
