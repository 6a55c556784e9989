import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { FileGateway } from '../support/file-gateway.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';

/** "Counters carry over by name" (DESIGN.md, Surface). */

let upstream: TestUpstream;
let gateway: FileGateway;

beforeAll(async () => {
  upstream = await startUpstream((_request, response) => void response.end('thing'));
});

afterEach(() => gateway.stop());

afterAll(() => upstream.close());

const configuration = (limit: object) => ({
  upstreams: { things: { endpoints: [upstream.url] } },
  routes: [{ path: '/things', upstream: 'things' }],
  tiers: { anonymous: { limits: [{ name: 'hour', algorithm: 'sliding-window', window: '1h', ...limit }] } },
});

async function remaining(): Promise<string | undefined> {
  const { headers } = await gateway.get('/things');
  return headers['x-ratelimit-remaining'] as string | undefined;
}

test('what a consumer has used is used after a reload, also of a quota that has changed', async () => {
  gateway = await FileGateway.start(configuration({ quota: 10 }));
  expect([await remaining(), await remaining()]).toEqual(['9', '8']);
  expect((await gateway.change(configuration({ quota: 5 }))).ok).toBe(true);
  expect(await remaining()).toBe('2');
  expect((await gateway.change(configuration({ quota: 20 }))).ok).toBe(true);
  expect(await remaining()).toBe('16');
});

test('a configuration that is refused changes nothing', async () => {
  gateway = await FileGateway.start(configuration({ quota: 10 }));
  expect(await remaining()).toBe('9');
  expect((await gateway.change(configuration({ quota: 0.5 }))).ok).toBe(false);
  expect(await remaining()).toBe('8');
});

test('a limit that counts in another way begins anew', async () => {
  gateway = await FileGateway.start(configuration({ quota: 10 }));
  expect(await remaining()).toBe('9');
  expect((await gateway.change(configuration({ quota: 10, window: '2h' }))).ok).toBe(true);
  expect(await remaining()).toBe('9');
});
