import type { ServerResponse } from 'node:http';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { inFlight, startGateway, untilIdle, type TestGateway } from '../support/gateway.ts';
import { send, until } from '../support/raw-client.ts';
import { exposition } from '../telemetry/exposition.ts';
import { asking, startCacheService, type CacheService } from './service.ts';

/** What is told of a read: to its client by `Cache-Status` (RFC 9211), to operators by counters. */

let service: CacheService;
let gateway: TestGateway;
const ask = asking(() => gateway.url);

beforeAll(async () => {
  service = await startCacheService();
  const quick = { endpoints: [service.url], identity: 'none', retry: { attempts: 0 } };
  gateway = await startGateway({
    upstreams: { things: quick, more: quick },
    routes: [
      { path: '/things{/*rest}', upstream: 'things', fallback: { status: 200, body: { static: true } } },
      { path: '/more{/*rest}', upstream: 'more' },
      { path: '/other{/*rest}', upstream: 'more' },
    ],
  });
});

afterAll(async () => {
  await untilIdle(gateway);
  await gateway.stop();
  await service.close();
});

/** What a counter has of a route and its upstream, by what became of reads. */
async function counted(name: string, route: string, upstream: string): Promise<Record<string, number>> {
  const { samples } = exposition((await send(`${gateway.adminUrl}/metrics`)).text).get(name)!;
  const wanted = samples.filter(
    ({ labels }) => labels.http_route === `${route}{/*rest}` && labels.weir_upstream === upstream,
  );
  return Object.fromEntries(wanted.map(({ labels, value }) => [labels.weir_cache_outcome ?? 'bytes', value]));
}

const statusOf = ({ headers }: { headers: NodeJS.Dict<string | string[]> }) => headers['cache-status'];

const fresh = { 'cache-control': 'max-age=3600' };

test('Each outcome is said to the client, and counted by route and upstream, with the bytes that came from the store', async () => {
  const text = 'ten bytes.';
  service.answer('/more/1', { headers: fresh, text });
  expect(statusOf(await ask('/more/1'))).toBe('weir; fwd=uri-miss; fwd-status=200; stored');
  expect(statusOf(await ask('/more/1'))).toMatch(/^weir; hit; ttl=3(600|59\d)$/);
  expect(statusOf(await ask('/more/1', { 'cache-control': 'no-store' }))).toBe('weir; fwd=bypass');

  const held: ServerResponse[] = [];
  service.answer('/more/held', (_, response) => void held.push(response));
  const together = [ask('/more/held'), ask('/more/held'), ask('/more/held')];
  await until(async () => held.length > 0 && (await inFlight(gateway)) === together.length);
  for (const response of held) response.writeHead(200, { ...fresh, 'content-length': text.length }).end(text);
  const told = (await Promise.all(together)).map(statusOf);
  expect(held).toHaveLength(1);
  expect(told.filter((status) => status === 'weir; fwd=uri-miss; fwd-status=200; stored')).toHaveLength(1);
  expect(told.filter((status) => status === 'weir; fwd=uri-miss; fwd-status=200; stored; collapsed')).toHaveLength(2);

  service.answer('/more/valid', (request, response) => {
    const status = request.headers['if-none-match'] === '"1"' ? 304 : 200;
    response.writeHead(status, { 'cache-control': 'no-cache', etag: '"1"' }).end(status === 200 ? text : undefined);
  });
  await ask('/more/valid');
  expect(statusOf(await ask('/more/valid'))).toBe('weir; fwd=stale; fwd-status=304; stored');

  service.answer('/more/old', { headers: { 'cache-control': 'max-age=1, stale-if-error=3600', age: '9' }, text });
  await ask('/more/old');
  service.answer('/more/old', { status: 503 });
  expect(statusOf(await ask('/more/old'))).toBe('weir; fwd=stale; fwd-status=503; detail="stale-if-error"');

  expect(await counted('weir_cache_reads_total', '/more', 'more')).toEqual({
    miss: 4,
    hit: 1,
    bypass: 1,
    collapsed: 2,
    revalidated: 1,
    stale: 1,
  });
  // One hit, one that was validated, one that stood in.
  expect(await counted('weir_cache_served_bytes_total', '/more', 'more')).toEqual({ bytes: 3 * text.length });
  await ask('/other/1');
  expect(await counted('weir_cache_reads_total', '/other', 'more')).toEqual({ miss: 1 });
  expect(await counted('weir_cache_reads_total', '/more', 'things')).toEqual({});
});

test('Where the service fails, the last good answer comes before the static fallback, which comes before the error', async () => {
  const allowed = { 'cache-control': 'max-age=1, stale-if-error=3600', age: '9' };
  service.answer('/things/1', { headers: allowed, text: 'the last good one' });
  await ask('/things/1');
  service.answer('/things/1', { status: 503 });
  const old = await ask('/things/1');
  expect([old.status, old.text, statusOf(old)]).toEqual([
    200,
    'the last good one',
    'weir; fwd=stale; fwd-status=503; detail="stale-if-error"',
  ]);
  service.answer('/things/2', { status: 503 });
  const fallback = await ask('/things/2');
  expect([fallback.status, fallback.json(), statusOf(fallback)]).toEqual([
    200,
    { static: true },
    'weir; fwd=uri-miss; fwd-status=503',
  ]);
  service.answer('/more/2', { status: 503 });
  const failed = await ask('/more/2');
  expect([failed.status, statusOf(failed)]).toEqual([503, 'weir; fwd=uri-miss; fwd-status=503']);
  // Of what has not answered at all, too.
  for (const path of ['/things/3', '/more/3']) {
    service.answer(path, (request) => request.socket.destroy());
    expect(statusOf(await ask(path))).toBe('weir; fwd=uri-miss');
  }
});
