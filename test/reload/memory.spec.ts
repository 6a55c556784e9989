import { resolve } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { FileGateway } from '../support/file-gateway.ts';
import { Load } from '../support/load.ts';
import { send, settle } from '../support/raw-client.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';

const reloads = 100;
const mostPerReload = 100 * 1024;

let upstream: TestUpstream;
let gateway: FileGateway;

/** The modules of the shop, and beside them an upstream and routes that no other generation has. */
function generation(number: number): object {
  const endpoints = [upstream.url];
  const health = { path: '/health', every: '1s' };
  return {
    modules: resolve('resolvers'),
    // What the test keeps of the log would be counted too.
    telemetry: { log: 'error' },
    upstreams: {
      ...Object.fromEntries(
        ['users', 'orders', 'catalog', 'reviews'].map((name) => [name, { endpoints, maxInFlight: 100 + number }]),
      ),
      [`only-${number}`]: { endpoints, health },
    },
    routes: [
      { path: '/things', upstream: 'users', methods: ['GET', 'POST'] },
      ...Array.from({ length: 20 }, (_, index) => ({ path: `/of-${number}/${index}/:id`, upstream: `only-${number}` })),
    ],
  };
}

beforeAll(async () => {
  upstream = await startUpstream((_request, response) => {
    response.setHeader('content-type', 'application/json');
    response.end('[]');
    // What the service remembers is none of the gateway's memory.
    upstream.requests.length = 0;
  });
  gateway = await FileGateway.start(generation(0), { modules: resolve('resolvers') });
});

afterAll(async () => {
  await gateway.stop();
  await upstream.close();
});

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** What is left when everything that can go has gone, timers that were under way included. */
async function heap(): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let turn = 0; turn < 5; turn++) {
    await settle(100);
    collect();
    least = Math.min(least, process.memoryUsage().heapUsed);
  }
  return least;
}

/** Reloads under load, one after the other. @returns requests that failed */
async function reloadOften(from: number, count: number): Promise<number> {
  const load = new Load(gateway.url, { clients: 4, path: '/things', methods: ['GET', 'POST'] });
  const query = encodeURIComponent('{ users(first: 2) { name orders(first: 1) { id } } }');
  for (let number = from; number < from + count; number++) {
    expect(await gateway.change(generation(number))).toMatchObject({ ok: true, changed: true });
    const answers = await Promise.all([
      send(`${gateway.url}/of-${number}/1/7`),
      send(`${gateway.url}/graphql?query=${query}`),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    await load.more(10);
  }
  await load.stop();
  return load.failures.length;
}

test(`${reloads} reloads under load lose no request, and keep less than 100 KiB of heap each`, async () => {
  // What is filled once: code that is compiled, caches up to their bounds.
  expect(await reloadOften(1, 20)).toBe(0);
  const before = await heap();
  expect(await reloadOften(1_000, reloads)).toBe(0);
  const kept = (await heap()) - before;
  expect(kept / reloads).toBeLessThan(mostPerReload);
  expect(gateway.gateway.assembly.upstreams.size).toBe(5);
}, 120_000);
