import { describe, expect, test } from 'vitest';
import { BoundedCache } from '#gateway/graphql/bounded-cache.ts';

describe('The cache of prepared documents', () => {
  test('gives up what was used longest ago when it has too many entries', () => {
    const cache = new BoundedCache<{ bytes: number }>({ maxEntries: 2, maxBytes: 1000 });
    const entries = { a: { bytes: 1 }, b: { bytes: 1 }, c: { bytes: 1 } };
    cache.add('a', entries.a);
    cache.add('b', entries.b);
    expect(cache.get('a')).toBe(entries.a);
    cache.add('c', entries.c);
    expect([cache.get('a'), cache.get('b'), cache.get('c')]).toEqual([entries.a, undefined, entries.c]);
  });

  test('gives up as many as it must to stay within its bytes', () => {
    const cache = new BoundedCache<{ bytes: number }>({ maxEntries: 100, maxBytes: 100 });
    for (let index = 0; index < 10; index++) cache.add(`small ${index}`, { bytes: 10 });
    expect([cache.size, cache.bytes]).toEqual([10, 100]);
    cache.add('large', { bytes: 75 });
    expect([cache.size, cache.bytes]).toEqual([3, 95]);
    expect(cache.get('small 7')).toBeUndefined();
    expect(cache.get('small 8')).toBeDefined();
  });

  test('does not empty itself for an entry that is larger than all of it', () => {
    const cache = new BoundedCache<{ bytes: number }>({ maxEntries: 100, maxBytes: 100 });
    cache.add('small', { bytes: 10 });
    cache.add('huge', { bytes: 101 });
    expect([cache.size, cache.bytes, cache.get('huge')]).toEqual([1, 10, undefined]);
  });

  test('holds at its bounds under a flood of keys that a client makes up', () => {
    const cache = new BoundedCache<{ bytes: number }>({ maxEntries: 50, maxBytes: 5000 });
    for (let index = 0; index < 10_000; index++) cache.add(`{ a${index} }`, { bytes: 1 + (index % 700) });
    expect(cache.size).toBeLessThanOrEqual(50);
    expect(cache.bytes).toBeLessThanOrEqual(5000);
  });
});
