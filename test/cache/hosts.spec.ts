import { afterAll, beforeAll, expect, test } from 'vitest';
import { startGateway, untilIdle, type TestGateway } from '../support/gateway.ts';
import { asking, startCacheService, type CacheService } from './service.ts';

/** Behind a proxy that is trusted, whose word on what the client asked is passed on. */

let service: CacheService;
let gateway: TestGateway;
const ask = asking(() => gateway.url, { host: 'weir.internal' });

beforeAll(async () => {
  service = await startCacheService();
  gateway = await startGateway({
    listen: { trustedProxies: ['127.0.0.1'] },
    upstreams: { things: { endpoints: [service.url], identity: 'none' } },
    routes: [{ path: '/{*rest}', upstream: 'things' }],
  });
});

afterAll(async () => {
  await untilIdle(gateway);
  await gateway.stop();
  await service.close();
});

test.each([
  ['X-Forwarded-Host', (host: string) => ({ 'x-forwarded-host': host }), ''],
  [
    'X-Forwarded-Host, on which the answer depends',
    (host: string) => ({ 'x-forwarded-host': host }),
    'X-Forwarded-Host',
  ],
  ['Forwarded', (host: string) => ({ forwarded: `for=192.0.2.1;host=${host}` }), ''],
])('What a service says to one host is for no other: by %s', async (what, by, vary) => {
  const path = `/${what.length}`;
  service.answer(path, (request, response) => {
    const text = String(request.headers['x-forwarded-host']);
    const headers = { 'cache-control': 'public, max-age=3600', ...(vary !== '' && { vary }) };
    response.writeHead(200, { ...headers, 'content-length': text.length }).end(text);
  });
  for (const host of ['a.example', 'b.example', 'a.example']) expect((await ask(path, by(host))).text).toBe(host);
  expect(service.asked(path)).toHaveLength(2);
});

test('What a service says to one scheme is for no other', async () => {
  service.answer('/scheme', (request, response) => {
    const text = String(request.headers['x-forwarded-proto']);
    response.writeHead(200, { 'cache-control': 'public, max-age=3600', 'content-length': text.length }).end(text);
  });
  for (const proto of ['https', 'http', 'https'])
    expect((await ask('/scheme', { 'x-forwarded-proto': proto })).text).toBe(proto);
});
