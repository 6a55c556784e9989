import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { Entry } from '#upstreams/cache/entry.ts';
import { MemoryStore } from '#upstreams/cache/memory-store.ts';
import type { Storing } from '#upstreams/cache/storing.ts';

const terms = (vary: readonly string[]): Storing => ({
  shared: true,
  bornMs: 0,
  lifetimeMs: 60_000,
  staleWhileRevalidateMs: 0,
  staleIfErrorMs: 0,
  noCache: false,
  strict: false,
  vary,
  headers: { 'content-type': 'text/plain' },
});

const path = fc.constantFrom('/a', '/b', '/a/c', '/%c3', '/%C3');
const tags = fc.subarray(['red', 'green', 'blue']);
const step = fc.oneof(
  fc.record({
    does: fc.constant('put' as const),
    path,
    query: fc.constantFrom('', '?x=1', '?x=2'),
    partition: fc.constantFrom('all', 'one'),
    language: fc.constantFrom('', 'de', 'en'),
    bytes: fc.nat(3_000),
    tags,
  }),
  fc.record({ does: fc.constant('renew' as const), nth: fc.nat(), tags, value: fc.string({ maxLength: 200 }) }),
  fc.record({ does: fc.constant('remove' as const), nth: fc.nat() }),
  fc.record({ does: fc.constant('write' as const), path }),
  fc.record({ does: fc.constant('purge' as const), tag: fc.constantFrom('red', 'green', 'blue') }),
  fc.record({ does: fc.constant('limit' as const), memory: fc.integer({ min: 0, max: 20_000 }) }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

const settings = { memory: 20_000, maxEntryBytes: 10_000, answers: true, redis: false };

/** What is on the shelf, and found there by its path and by its tags. */
function hold(steps: readonly Step[]): void {
  const store = new MemoryStore(settings);
  const shelf = store.shelf('things');
  const all: Entry[] = [];
  const stored = () => all.filter(({ gone }) => !gone);
  let memory = settings.memory;
  for (const taken of steps) {
    if (taken.does === 'put') {
      const answer = { status: 200, body: Buffer.alloc(taken.bytes), tags: taken.tags, shown: [] };
      const vary = taken.language === '' ? [] : ['accept-language'];
      const request = { 'accept-language': taken.language };
      all.push(new Entry(taken.path + taken.query, taken.partition, answer, terms(vary), request));
      shelf.put(all.at(-1)!);
    } else if (taken.does === 'renew') {
      const entry = all[taken.nth % Math.max(1, all.length)];
      if (entry) shelf.update(entry, () => entry.update({ 'x-a': taken.value }, entry.terms, taken.tags, []));
    } else if (taken.does === 'remove') {
      const entry = all[taken.nth % Math.max(1, all.length)];
      if (entry) shelf.remove(entry);
    } else if (taken.does === 'write') {
      store.invalidate({ upstream: 'things', paths: [taken.path] });
      expect([...shelf.storedOf(taken.path)]).toEqual([]);
    } else if (taken.does === 'purge') {
      store.invalidate({ tags: [taken.tag] });
      expect(stored().filter((entry) => entry.tags.includes(taken.tag))).toEqual([]);
    } else {
      memory = taken.memory;
      store.configure({ ...settings, memory });
    }
    expect(store.bytes).toBe(stored().reduce((sum, { bytes }) => sum + bytes, 0));
    expect(store.entries).toBe(stored().length);
    expect(store.bytes).toBeLessThanOrEqual(memory);
    for (const entry of stored()) expect([...shelf.storedOf(entry.target.split('?', 1)[0]!)]).toContain(entry);
  }
  store.invalidate({ all: true });
  expect([store.bytes, store.entries]).toEqual([0, 0]);
}

test('The store knows its size, its paths and its tags, whatever is put, renewed, written, purged or evicted', () => {
  fc.assert(fc.property(fc.array(step, { maxLength: 40 }), hold), { numRuns: 300 });
});

test('What is read while hundreds of others are written is not taken for one of them; what is written itself is', () => {
  const shelf = new MemoryStore(settings).shelf('things');
  const paths = Array.from({ length: 200 }, (_, index) => `/config/${index}`);
  const marks = paths.map((_, index) => shelf.mark(`/test/${index}`, ['red']));
  const own = shelf.mark('/config/7?x=1', []);
  for (const written of paths) shelf.invalidatePath(written);
  // By one place alone it would be five.
  expect(marks.filter((mark) => !mark.holds()).length).toBeLessThan(3);
  expect(own.holds()).toBe(false);
  shelf.invalidateTag('red');
  expect(marks.filter((mark) => mark.holds())).toHaveLength(0);
});
