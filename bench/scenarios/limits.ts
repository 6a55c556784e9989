/** The pass-through GET of one consumer without limits, and with three of them at once: in memory, and in Redis. */
import { hash } from 'node:crypto';
import type { Request } from '../load.ts';
import { redisMissing, startRedis } from '../redis.ts';
import type { Scenario, Subject } from '../scenario.ts';
import { weir } from '../subjects/weir.ts';
import { fixedAnswer, startFixedUpstream } from '../upstreams/fixed.ts';

export const noLimits = 'no limits';
export const inMemory = 'three limits in memory';
export const inRedis = 'three limits in Redis';

/** Far more targets than connections, so that no two in flight are the same. */
const targets = 4096;

const key = `weir_live_${'k'.repeat(38)}`;

/** Of all kinds of counting that people write, and never used up. */
const three = [
  { name: 'minute', algorithm: 'sliding-window', quota: 100_000_000, window: '1m' },
  { name: 'hour', algorithm: 'sliding-window', quota: 500_000_000, window: '1h' },
  { name: 'burst', algorithm: 'token-bucket', unit: 'requests', quota: 1_000_000, window: '1s', burst: 2_000_000 },
];

export const limits: Scenario = {
  name: 'limits',
  title: 'Pass-through GET, answers of 1 KiB, by limits',
  baseline: noLimits,
  async prepare(run, stack) {
    const upstream = await startFixedUpstream(run, stack);
    const missing = redisMissing();
    // It shares its core with the load, and is to be measured, not done without.
    const redis = missing === undefined ? { url: (await startRedis(run, stack)).url, timeout: '1s' } : undefined;
    const config = (of: readonly object[], more: object) => ({
      upstreams: { items: { endpoints: [upstream.origin] } },
      routes: [{ path: '/items{/*rest}', upstream: 'items' }],
      consumers: [{ id: 'bench', tier: 'pro', keys: [`sha256:${hash('sha256', key)}`] }],
      tiers: { pro: { limits: of } },
      ...more,
    });
    const subjects = (name: string, of: readonly object[], more: object = {}) =>
      run.checkouts.map((checkout, index): Subject => {
        const label = index === 0 ? name : `${name}; ${checkout.name}`;
        return weir(run, { ...checkout, name: label }, config(of, more));
      });
    return {
      upstream,
      workload: { connections: 64, requests: requests(), answer: fixedAnswer, compareAll: false },
      subjects: [
        ...subjects(noLimits, []),
        ...subjects(inMemory, three),
        ...subjects(inRedis, three, { redis }).map((subject) =>
          missing === undefined ? subject : { ...subject, missing },
        ),
      ],
    };
  },
};

function requests(): Request[] {
  return Array.from({ length: targets }, (_, index) => ({
    method: 'GET',
    path: `/items/${index}`,
    headers: { accept: 'application/json', 'x-api-key': key },
  }));
}
