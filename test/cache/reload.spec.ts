import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FileGateway } from '../support/file-gateway.ts';
import { send } from '../support/raw-client.ts';
import { startCacheService, type CacheService } from './service.ts';

let service: CacheService;
let gateway: FileGateway;

beforeEach(async () => {
  service = await startCacheService();
});

afterEach(async () => {
  await gateway.stop();
  await service.close();
});

const serving = (cache: object, more: object = {}) => ({
  cache,
  upstreams: { things: { endpoints: [service.url], identity: 'none', ...more } },
  routes: [{ path: '/{*rest}', upstream: 'things' }],
});

const cacheOf = () => gateway.gateway.assembly.upstreams.get('things')!.surroundings.cache!;

async function store(count: number): Promise<void> {
  for (let index = 0; index < count; index++) {
    service.answer(`/${index}`, { headers: { 'cache-control': 'max-age=3600' }, text: 'x'.repeat(9_000) });
    expect((await send(`${gateway.url}/${index}`)).status).toBe(200);
  }
}

async function stored(count: number): Promise<number[]> {
  const all = Array.from({ length: count }, (_, index) => index);
  const headers = { 'cache-control': 'only-if-cached' };
  const answers = await Promise.all(all.map((index) => send(`${gateway.url}/${index}`, { headers })));
  return all.filter((index) => answers[index]!.status === 200);
}

describe('A reload', () => {
  test('keeps what is stored', async () => {
    gateway = await FileGateway.start(serving({ memory: '1MiB' }));
    await store(5);
    expect(await gateway.change(serving({ memory: '1MiB' }, { timeout: '20s' }))).toMatchObject({ ok: true });
    expect(await stored(5)).toEqual([0, 1, 2, 3, 4]);
    for (let index = 0; index < 5; index++) expect(service.asked(`/${index}`)).toHaveLength(1);
  });

  test('to less memory drops what was used least recently, and what is left is whole', async () => {
    gateway = await FileGateway.start(serving({ memory: '1MiB' }));
    await store(10);
    await send(`${gateway.url}/0`);
    await gateway.change(serving({ memory: '36KiB' }));
    expect(cacheOf().bytes).toBeLessThanOrEqual(36 * 1024);
    expect(await stored(10)).toEqual([0, 8, 9]);
    expect((await send(`${gateway.url}/9`)).text).toBe('x'.repeat(9_000));
    await gateway.change(serving({ memory: '1MiB' }));
    await store(10);
    expect(await stored(10)).toHaveLength(10);
  });

  test('to another credential, or to another service, begins with nothing; beside more endpoints all stays', async () => {
    const another = await startCacheService();
    const asWhom = (authorization: string, endpoints = [service.url]) => ({
      upstreams: { things: { endpoints, identity: { static: { authorization } } } },
      routes: [{ path: '/{*rest}', upstream: 'things' }],
    });
    try {
      for (const [from, name] of [
        [service, 'one'],
        [another, 'other'],
      ] as const)
        from.answer('/who', (request, response) => {
          const text = `${name} ${request.headers.authorization}`;
          response.writeHead(200, { 'cache-control': 'max-age=3600', 'content-length': text.length }).end(text);
        });
      gateway = await FileGateway.start(asWhom('Basic full'));
      const ask = async (headers = {}) => (await send(`${gateway.url}/who`, { headers })).text;
      expect(await ask()).toBe('one Basic full');
      await gateway.change(asWhom('Basic full', [service.url, another.url]));
      expect(await ask({ 'cache-control': 'only-if-cached' })).toBe('one Basic full');
      await gateway.change(asWhom('Basic less'));
      expect(await ask()).toBe('one Basic less');
      await gateway.change(asWhom('Basic less', [another.url]));
      expect(await ask()).toBe('other Basic less');
    } finally {
      await another.close();
    }
  });

  test('does not begin to share what is stored, and says so', async () => {
    gateway = await FileGateway.start({ ...serving({}), redis: { url: 'redis://127.0.0.1:1' } });
    const report = await gateway.change({ ...serving({ redis: true }), redis: { url: 'redis://127.0.0.1:1' } });
    expect(report).toMatchObject({ ok: true, needsRestart: ['cache.redis'] });
  });
});
