import { expect, test } from 'vitest';
import { Provenance } from '#core/provenance.ts';
import { Answer } from '#gateway/graphql/answers/answer.ts';
import { Entry } from '#upstreams/cache/entry.ts';
import { storing } from '#upstreams/cache/storing.ts';

/** Cut out of one of Node’s pools, as small ones are. */
const body = Buffer.from('a few bytes');

const nowMs = Date.parse('2026-11-21T12:00:00Z');
const headers = { 'cache-control': 'max-age=60' };
const terms = storing({ status: 200, headers, askedMs: nowMs, nowMs, identified: false }, {})!;

test.each([
  ['an upstream', new Entry('/things', '', { status: 200, body, tags: [], shown: [] }, terms, {})],
  [
    'an operation',
    new Answer('key', body, new Provenance(), { public: true, vary: '', closedVary: '' }, undefined, nowMs),
  ],
])('What is stored of the answer of %s has memory of its own, and keeps none of a pool', (_, kept) => {
  expect(body.buffer.byteLength).toBeGreaterThan(body.length);
  expect(kept.body.equals(body)).toBe(true);
  expect(kept.body.buffer.byteLength).toBe(body.length);
});
