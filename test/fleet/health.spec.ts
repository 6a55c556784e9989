import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { askEach, readyWorkers, startFleet } from '../support/fleet.ts';
import type { GatewayProgram } from '../support/gateway-program.ts';
import { until } from '../support/raw-client.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';

/** Health checks are made by the primary alone; each worker goes by what it finds. */

const everyMs = 250;
let well = true;
let first: TestUpstream;
let second: TestUpstream;
let fleet: GatewayProgram;

beforeAll(async () => {
  first = await startUpstream((request, response) => {
    response.statusCode = request.url === '/health' && !well ? 500 : 200;
    response.end('first');
  });
  second = await startUpstream((_request, response) => void response.end('second'));
  const health = { path: '/health', every: `${everyMs}ms`, unhealthyAfter: 1, healthyAfter: 1 };
  const upstream = { endpoints: [first.url, second.url], health, slowStart: '0ms', panicThreshold: 0 };
  fleet = await startFleet(first.url, { upstream });
}, 60_000);

afterAll(async () => {
  fleet.kill();
  await first.close();
  await second.close();
});

const checks = () => first.requests.filter(({ url }) => url === '/health').length;

/** What each worker is answered, several times over. */
async function answersOf(pids: readonly number[]): Promise<Set<string>> {
  const seen = new Set<string>();
  for (let turn = 0; turn < 4; turn++) {
    for (const { text } of (await askEach(fleet, pids, '/things')).values()) seen.add(text);
  }
  return seen;
}

describe('Health checks of two workers', { timeout: 60_000 }, () => {
  test('ask the service once in each interval, and not once for each process', async () => {
    await until(() => checks() > 0);
    const before = checks();
    const sinceMs = performance.now();
    await until(() => checks() >= before + 8);
    const intervals = (performance.now() - sinceMs) / everyMs;
    // Of three processes they would be three for each interval; a busy machine only makes them fewer.
    expect(checks() - before).toBeLessThanOrEqual(intervals + 2);
  });

  test('take an endpoint out of use in both of them, and in one that starts later', async () => {
    const pids = await readyWorkers(fleet, 2);
    expect(await answersOf(pids)).toEqual(new Set(['first', 'second']));
    well = false;
    await until(async () => (await fleet.metric('weir_upstream_endpoint_healthy')) === 1);
    expect(await answersOf(pids)).toEqual(new Set(['second']));
    const { text } = await fleet.admin('/admin/upstreams');
    const [{ endpoints }] = JSON.parse(text) as [{ endpoints: { url: string; state: string; nextCheck?: string }[] }];
    expect(endpoints.find(({ url }) => url === first.url)).toMatchObject({ state: 'unhealthy' });
    for (const { nextCheck } of endpoints) expect(nextCheck).toBeDefined();

    process.kill(pids[0]!, 'SIGKILL');
    await fleet.logged(({ msg }) => msg === 'worker replaced');
    expect(await answersOf(await readyWorkers(fleet, 2))).toEqual(new Set(['second']));
    // One process has found it, and says so.
    const found = fleet.log.filter(({ msg }) => msg === 'endpoint unhealthy');
    expect(found.map(({ worker }) => worker)).toEqual([undefined]);

    well = true;
    await until(async () => (await fleet.metric('weir_upstream_endpoint_healthy')) === 2);
    expect(await answersOf(await readyWorkers(fleet, 2))).toEqual(new Set(['first', 'second']));
  });
});
