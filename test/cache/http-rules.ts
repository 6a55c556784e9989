import type { ServerResponse } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { untilIdle, type TestGateway } from '../support/gateway.ts';
import { send, until } from '../support/raw-client.ts';
import type { Level } from './levels.ts';
import { startCacheService, type CacheService } from './service.ts';

const fresh = { 'cache-control': 'max-age=3600' };
/** Stored, and stale from its first moment. */
const stale = { 'cache-control': 'max-age=3600', age: '7200' };

const statusOf = (answer: { headers: NodeJS.Dict<string | string[]> }) => String(answer.headers['cache-status']);

/** What RFC 9111 asks of a store, wherever that lies. */
export function httpRules(level: Level): void {
  let service: CacheService;
  let gateway: TestGateway;
  const ask = level.asking(() => gateway);

  beforeAll(async () => {
    service = await startCacheService();
    const quick = {
      endpoints: [service.url],
      identity: 'none',
      retry: { attempts: 0 },
      ejection: { failures: 10_000 },
    };
    gateway = await level.start({
      cache: { maxEntryBytes: '100KiB' },
      upstreams: {
        things: { ...quick, breaker: { failures: 10_000 }, attemptTimeout: '500ms' },
        frail: { ...quick, breaker: { failures: 1, openFor: '1h' } },
      },
      routes: [
        { path: '/{*rest}', upstream: 'things' },
        { path: '/frail{/*rest}', upstream: 'frail' },
        { path: '/ruled{/*rest}', upstream: 'things', cache: { ttl: '1h', staleIfError: '1h', tags: ['ruled'] } },
        { path: '/other{/*rest}', upstream: 'things', cache: { ttl: '1h', tags: ['ruled'] } },
        { path: '/off{/*rest}', upstream: 'things', cache: false },
      ],
    });
  });

  afterAll(async () => {
    await untilIdle(gateway);
    await gateway.stop();
    await level.close();
    await service.close();
  });

  describe('A stored answer', () => {
    test('is given out again, with Age (RFC 9111 §5.1) and Cache-Status (RFC 9211), and is no call', async () => {
      service.answer('/a', { headers: { ...fresh, age: '30', 'x-own': 'kept' } });
      const first = await ask('/a');
      expect(statusOf(first)).toBe('weir; fwd=uri-miss; fwd-status=200; stored');
      const second = await ask('/a');
      expect(second).toMatchObject({ status: 200, text: 'stored' });
      expect(second.headers['x-own']).toBe('kept');
      expect(Number(second.headers.age)).toBeGreaterThanOrEqual(30);
      expect(statusOf(second)).toMatch(/^weir; hit; ttl=35\d\d$/);
      expect(second.headers['x-request-id']).not.toBe(first.headers['x-request-id']);
      expect(service.asked('/a')).toHaveLength(1);
      const line = await gateway.accessOf(String(second.headers['x-request-id']));
      expect(line).toMatchObject({ calls: 0, cached: 1 });
    });

    test('goes to who is the first to ask for it as it comes, before it is whole', async () => {
      let end: () => void = () => {};
      service.answer('/streamed', (_, response) => {
        response.writeHead(200, { ...fresh, 'content-length': '10' }).write('first');
        end = () => void response.end(' last');
      });
      const answer = await fetch(`${gateway.url}/streamed`);
      const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
      expect((await reader.read()).value).toBe('first');
      end();
      expect((await reader.read()).value).toBe(' last');
      await reader.read();
      await untilIdle(gateway);
      expect((await ask('/streamed')).text).toBe('first last');
      expect(service.asked('/streamed')).toHaveLength(1);
    });

    test('whose upstream says Vary: Accept-Encoding is one, whatever the client takes: the upstream is asked for one coding', async () => {
      service.answer('/coded', { headers: { ...fresh, vary: 'Accept-Encoding' } });
      for (const coding of ['gzip', 'br;q=1, *;q=0', 'deflate, GZIP', 'identity'])
        expect(await ask('/coded', { 'accept-encoding': coding })).toMatchObject({ status: 200 });
      await ask('/coded');
      expect(service.asked('/coded')).toHaveLength(1);
    });

    test('answers HEAD with the length of its body (RFC 9110 §9.3.2)', async () => {
      service.answer('/head', { headers: fresh });
      await ask('/head');
      const head = await ask('/head', {}, { method: 'HEAD' });
      expect(head).toMatchObject({ status: 200, text: '' });
      expect(head.headers['content-length']).toBe('6');
      expect(service.asked('/head')).toHaveLength(1);
    });

    test('answers a client that has it already with 304 (RFC 9111 §4.3.2)', async () => {
      service.answer('/known', {
        headers: { ...fresh, etag: '"1"', 'last-modified': 'Sat, 01 Nov 2025 00:00:00 GMT' },
      });
      await ask('/known');
      for (const [name, value] of [
        ['if-none-match', '"0", W/"1"'],
        ['if-none-match', '*'],
        ['if-modified-since', 'Sat, 01 Nov 2025 00:00:00 GMT'],
      ] as const) {
        const answer = await ask('/known', { [name]: value });
        expect(answer).toMatchObject({ status: 304, text: '' });
        expect(answer.headers).toMatchObject({ etag: '"1"', 'cache-control': 'max-age=3600' });
      }
      // RFC 9110 §13.1.3: the tag goes before the date.
      const other = { 'if-none-match': '"2"', 'if-modified-since': 'Sat, 01 Nov 2025 00:00:00 GMT' };
      expect((await ask('/known', other)).status).toBe(200);
      expect(service.asked('/known')).toHaveLength(1);
    });

    test('gives ranges of itself (RFC 9110 §14), where If-Range holds', async () => {
      service.answer('/range', { headers: { ...fresh, etag: '"1"' }, text: '0123456789' });
      await ask('/range');
      const part = await ask('/range', { range: 'bytes=2-4' });
      expect(part).toMatchObject({ status: 206, text: '234' });
      expect(part.headers).toMatchObject({ 'content-range': 'bytes 2-4/10', 'content-length': '3' });
      expect(await ask('/range', { range: 'bytes=2-4', 'if-range': '"1"' })).toMatchObject({ status: 206 });
      expect(await ask('/range', { range: 'bytes=2-4', 'if-range': '"2"' })).toMatchObject({ status: 200 });
      const beyond = await ask('/range', { range: 'bytes=10-' });
      expect(beyond.status).toBe(416);
      expect(beyond.headers['content-range']).toBe('bytes */10');
      expect(service.asked('/range')).toHaveLength(1);
    });

    test('is one of several where the upstream says Vary (RFC 9111 §4.1)', async () => {
      service.answer('/vary', (request, response) => {
        response.writeHead(200, { ...fresh, vary: 'Accept-Language' }).end(String(request.headers['accept-language']));
      });
      expect((await ask('/vary', { 'accept-language': 'de' })).text).toBe('de');
      const other = await ask('/vary', { 'accept-language': 'en' });
      expect([other.text, statusOf(other)]).toEqual(['en', 'weir; fwd=vary-miss; fwd-status=200; stored']);
      expect((await ask('/vary', { 'accept-language': 'DE' })).text).toBe('de');
      expect(service.asked('/vary')).toHaveLength(2);
    });

    test('is of one host: upstreams are told it, and may write it into their answers', async () => {
      service.answer('/host', (request, response) => {
        response.writeHead(200, fresh).end(String(request.headers['x-forwarded-host']));
      });
      expect((await ask('/host', { host: 'a.example' })).text).toBe('a.example');
      expect((await ask('/host', { host: 'b.example' })).text).toBe('b.example');
      expect((await ask('/host', { host: 'a.example' })).text).toBe('a.example');
      expect(service.asked('/host')).toHaveLength(2);
    });
  });

  describe('What a client says (RFC 9111 §5.2.1)', () => {
    test.each([
      ['max-age=10', 2],
      ['min-fresh=3580', 2],
      ['no-cache', 2],
      ['no-store', 2],
      ['max-age=100', 1],
      ['max-stale', 1],
    ])('%s makes a fresh answer of age 60 cost %i calls', async (control, calls) => {
      const path = `/client/${control}`;
      service.answer(path, { headers: { ...fresh, age: '60' } });
      await ask(path);
      await ask(path, { 'cache-control': control });
      expect(service.asked(path)).toHaveLength(calls);
    });

    test('max-stale takes what is stale, but not what must be validated (§4.2.4)', async () => {
      service.answer('/lazy', { headers: { ...stale, etag: '"1"' } });
      service.answer('/strict', {
        headers: { ...stale, etag: '"1"', 'cache-control': 'max-age=3600, must-revalidate' },
      });
      for (const path of ['/lazy', '/strict']) {
        await ask(path);
        await ask(path, { 'cache-control': 'max-stale=4000' });
      }
      expect(service.asked('/lazy')).toHaveLength(1);
      expect(service.asked('/strict')).toHaveLength(2);
    });

    test('only-if-cached is answered from the store or with 504, and never asks (§5.2.1.7)', async () => {
      service.answer('/only', { headers: fresh });
      const missed = await ask('/only', { 'cache-control': 'only-if-cached' });
      expect(missed.status).toBe(504);
      expect(missed.json()).toMatchObject({ code: 'NOT_STORED' });
      expect(service.asked('/only')).toHaveLength(0);
      await ask('/only');
      expect((await ask('/only', { 'cache-control': 'only-if-cached' })).status).toBe(200);
    });

    test('only-if-cached asks nobody, whatever else is said (§5.2.1.7)', async () => {
      service.answer('/alone', { headers: fresh });
      const alone = (path: string, more: string, headers = {}) =>
        ask(path, { 'cache-control': `only-if-cached${more}`, ...headers });
      expect((await alone('/alone', ', no-store')).status).toBe(504);
      expect((await alone('/alone', '', { 'if-match': '"1"' })).status).toBe(504);
      await ask('/alone');
      expect((await alone('/alone', ', no-store')).status).toBe(200);
      expect((await alone('/alone', ', no-cache')).status).toBe(504);
      expect((await alone('/alone', '', { 'if-match': '"1"' })).status).toBe(504);
      expect(service.asked('/alone')).toHaveLength(1);
    });

    test('preconditions that a store cannot judge go to the upstream (RFC 9110 §13.1.1)', async () => {
      service.answer('/if-match', { headers: fresh });
      await ask('/if-match');
      const answer = await ask('/if-match', { 'if-match': '"1"' });
      expect(statusOf(answer)).toBe('weir; fwd=bypass');
      expect(service.asked('/if-match')).toHaveLength(2);
    });
  });

  describe('A stale answer', () => {
    test('is validated, and renewed by a 304 with the fields that came with it (RFC 9111 §4.3.4)', async () => {
      service.answer('/renew', (request, response) => {
        if (request.headers['if-none-match'] === '"1"') {
          response.writeHead(304, { etag: '"1"', 'cache-control': 'max-age=60', 'x-new': 'yes' }).end();
        } else {
          response.writeHead(200, { ...stale, etag: '"1"', 'content-length': '5' }).end('first');
        }
      });
      await ask('/renew');
      const renewed = await ask('/renew');
      expect(renewed).toMatchObject({ status: 200, text: 'first' });
      expect(renewed.headers['x-new']).toBe('yes');
      expect(statusOf(renewed)).toBe('weir; fwd=stale; fwd-status=304; stored');
      const third = await ask('/renew');
      expect(third.headers['x-new']).toBe('yes');
      expect(service.asked('/renew')).toHaveLength(2);
    });

    test('is validated by its date where it has no tag', async () => {
      const modified = 'Sat, 01 Nov 2025 00:00:00 GMT';
      service.answer('/dated', { headers: { ...stale, 'last-modified': modified } });
      await ask('/dated');
      await ask('/dated');
      expect(service.asked('/dated')[1]!.headers['if-modified-since']).toBe(modified);
    });

    test('is superseded by a 200; a client whose own copy is that one gets a 304', async () => {
      let tag = '"1"';
      service.answer('/super', (_, response) => {
        response.writeHead(200, { ...stale, etag: tag, 'content-length': '3' }).end(tag);
      });
      await ask('/super');
      tag = '"2"';
      expect(await ask('/super', { 'if-none-match': '"2"' })).toMatchObject({ status: 304, text: '' });
      expect(service.asked('/super')[1]!.headers['if-none-match']).toBe('"1"');
      tag = '"3"';
      expect((await ask('/super')).text).toBe('"3"');
      expect(service.asked('/super')[2]!.headers['if-none-match']).toBe('"2"');
    });

    test('is asked for anew when the 304 is about something else', async () => {
      service.answer('/wrong', (request, response) => {
        if (request.headers['if-none-match'] === undefined) {
          response.writeHead(200, { ...stale, etag: '"1"', 'content-length': '5' }).end('whole');
        } else {
          response.writeHead(304, { etag: '"9"' }).end();
        }
      });
      await ask('/wrong');
      expect(await ask('/wrong')).toMatchObject({ status: 200, text: 'whole' });
      expect(service.asked('/wrong')).toHaveLength(3);
    });

    test('has the tags that a 304 brings', async () => {
      let tag = 'former';
      service.answer('/retagged', (request, response) => {
        const headers = { ...stale, etag: '"1"', 'surrogate-key': tag };
        if (request.headers['if-none-match'] === '"1"') response.writeHead(304, { ...headers, age: '0' }).end();
        else response.writeHead(200, { ...headers, 'content-length': '4' }).end('text');
      });
      await ask('/retagged');
      tag = 'present';
      expect((await ask('/retagged')).headers['surrogate-key']).toBe('present');
      const hit = () => ask('/retagged', { 'cache-control': 'only-if-cached' });
      const purge = (name: string) =>
        send(`${gateway.adminUrl}/admin/cache/purge`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ by: 'ann', tag: name }),
        });
      expect((await hit()).status).toBe(200);
      expect((await purge('present')).status).toBe(200);
      expect((await hit()).status).toBe(504);
    });

    test.each([
      ['forbids to store it', 'no-store'],
      ['is for one alone', 'private, max-age=60'],
    ])('that a 304 says %s goes out as the 304 says, and is stored no more', async (_, control) => {
      const path = `/forbidden/${control.length}`;
      service.answer(path, (request, response) => {
        const known = request.headers['if-none-match'] === '"1"';
        const headers = { ...stale, etag: '"1"', ...(known && { 'cache-control': control, age: '0' }) };
        response.writeHead(known ? 304 : 200, { ...headers, ...(!known && { 'content-length': '4' }) });
        response.end(known ? undefined : 'text');
      });
      await ask(path);
      const answer = await ask(path);
      expect([answer.status, answer.text, answer.headers['cache-control']]).toEqual([200, 'text', control]);
      expect((await ask(path, { 'cache-control': 'only-if-cached' })).status).toBe(504);
    });

    test('is not renewed by a 304 that was under way while its tag was purged', async () => {
      const held: ServerResponse[] = [];
      const headers = { ...stale, etag: '"1"', 'surrogate-key': 'overtaken' };
      service.answer('/overtaken', (request, response) => {
        if (request.headers['if-none-match'] === '"1"') held.push(response);
        else response.writeHead(200, { ...headers, 'content-length': '4' }).end('text');
      });
      await ask('/overtaken');
      const renewed = ask('/overtaken');
      await until(() => held.length === 1);
      await send(`${gateway.adminUrl}/admin/cache/purge`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '{"by":"ann","tag":"overtaken"}',
      });
      held[0]!.writeHead(304, { ...headers, age: '0' }).end();
      expect((await renewed).text).toBe('text');
      expect((await ask('/overtaken', { 'cache-control': 'only-if-cached' })).status).toBe(504);
    });

    test('is given out while one fresh one is fetched, at nobody’s cost (RFC 5861 §3)', async () => {
      let version = 0;
      service.answer('/swr', (_, response) => {
        const age = version === 0 ? '7200' : '0';
        const headers = { 'cache-control': 'max-age=3600, stale-while-revalidate=86400', age };
        response.writeHead(200, { ...headers, 'content-length': '1' }).end(String(version++));
      });
      await ask('/swr');
      const answers = await Promise.all([ask('/swr'), ask('/swr'), ask('/swr')]);
      expect(answers.map(({ text }) => text)).toContain('0');
      await until(() => service.asked('/swr').length === 2);
      await expect.poll(async () => (await ask('/swr')).text).toBe('1');
      expect(service.asked('/swr')).toHaveLength(2);
      const line = await gateway.accessOf(String(answers[0].headers['x-request-id']));
      expect(line).toMatchObject({ calls: 0 });
      // The upstream sees who the answer is for, as in any call.
      expect(service.asked('/swr')[1]!.headers['x-forwarded-host']).toBe(new URL(gateway.url).host);
    });
  });

  describe('Where the upstream fails, what is stored stands in (RFC 5861 §4)', () => {
    const allowed = { 'cache-control': 'max-age=3600, stale-if-error=86400', age: '7200' };

    test.each([
      ['answers 503', (path: string) => service.answer(path, { status: 503 }), 'fwd-status=503; '],
      ['hangs up', (path: string) => service.answer(path, (request) => request.socket.destroy()), ''],
      ['says nothing', (path: string) => service.answer(path, () => {}), ''],
    ])('when it %s', async (what, fail, status) => {
      const path = `/fails/${what.replaceAll(' ', '-')}`;
      service.answer(path, { headers: allowed });
      await ask(path);
      fail(path);
      const answer = await ask(path);
      expect(answer).toMatchObject({ status: 200, text: 'stored' });
      expect(statusOf(answer)).toBe(`weir; fwd=stale; ${status}detail="stale-if-error"`);
      expect(answer.headers.warning).toBeUndefined();
    });

    test('when its breaker is open', async () => {
      service.answer('/frail/1', { headers: allowed });
      await ask('/frail/1');
      service.answer('/frail/bad', { status: 500 });
      await ask('/frail/bad');
      expect((await ask('/frail/other')).status).toBe(503);
      expect(await ask('/frail/1')).toMatchObject({ status: 200, text: 'stored' });
      expect(service.asked('/frail/1')).toHaveLength(1);
    });

    test.each([429, 400, 416, 206])(
      'also after a %i, which speaks of the request and says nothing of what is there',
      async (status) => {
        const path = `/between/${status}`;
        service.answer(path, { headers: allowed });
        await ask(path);
        service.answer(path, { status });
        expect((await ask(path)).status).toBe(status);
        service.answer(path, { status: 503 });
        expect(await ask(path)).toMatchObject({ status: 200, text: 'stored' });
      },
    );

    test.each([429, 405, 400])('also after a %i to HEAD', async (status) => {
      const path = `/head/${status}`;
      service.answer(path, { headers: allowed });
      await ask(path);
      service.answer(path, { status });
      expect((await ask(path, {}, { method: 'HEAD' })).status).toBe(status);
      service.answer(path, { status: 503 });
      expect(await ask(path)).toMatchObject({ status: 200, text: 'stored' });
    });

    test('is kept by who asks with HEAD whether it is still so', async () => {
      service.answer('/head/same', (request, response) => {
        const known = request.headers['if-none-match'] === '"1"';
        const length = known ? {} : { 'content-length': '4' };
        response.writeHead(known ? 304 : 200, { ...fresh, ...length, etag: '"1"' }).end(known ? undefined : 'text');
      });
      await ask('/head/same');
      const known = { 'if-none-match': '"1"', 'cache-control': 'no-cache' };
      expect((await ask('/head/same', known, { method: 'HEAD' })).status).toBe(304);
      expect((await ask('/head/same', { 'cache-control': 'only-if-cached' })).status).toBe(200);
    });

    test.each([404, 410, 403])('not after a %i: it is there no more, or not for who asks', async (status) => {
      const path = `/between/${status}`;
      service.answer(path, { headers: allowed });
      await ask(path);
      service.answer(path, { status });
      expect((await ask(path)).status).toBe(status);
      service.answer(path, { status: 503 });
      expect((await ask(path)).status).toBe(503);
    });

    test('not where nobody allows it, nor where it must be validated', async () => {
      for (const [path, headers] of [
        ['/bare', stale],
        ['/must', { ...allowed, 'cache-control': 'max-age=3600, stale-if-error=86400, must-revalidate' }],
      ] as const) {
        service.answer(path, { headers: { ...headers, etag: '"1"' } });
        await ask(path);
        service.answer(path, { status: 503 });
        expect((await ask(path)).status).toBe(503);
      }
    });
  });

  describe('Nothing is stored', () => {
    test('of a body that a client does not wait for', async () => {
      let left = false;
      service.answer('/left', (_, response) => {
        response.writeHead(200, { ...fresh, 'content-length': '100' }).write('half');
        response.once('close', () => (left = true));
      });
      const controller = new AbortController();
      const answer = await fetch(`${gateway.url}/left`, { signal: controller.signal });
      expect(answer.headers.get('cache-status')).toBe('weir; fwd=uri-miss; fwd-status=200; stored');
      await answer.body!.getReader().read();
      controller.abort();
      // Nobody else waits for it, so the service is not kept at it.
      await until(() => left);
      service.answer('/left', { headers: fresh, text: 'whole' });
      expect((await ask('/left')).text).toBe('whole');
    });

    test('of a body that breaks off', async () => {
      service.answer('/broken', (_, response) => {
        response.writeHead(200, { ...fresh, 'content-length': '100' });
        response.write('half', () => response.destroy());
      });
      await expect(ask('/broken')).rejects.toThrow();
      service.answer('/broken', { headers: fresh, text: 'whole' });
      expect((await ask('/broken')).text).toBe('whole');
    });

    test('of a body whose end only the connection tells (RFC 9112 §6.3)', async () => {
      service.answer('/open', (_, response) => {
        response.socket!.end(
          'HTTP/1.1 200 OK\r\nCache-Control: max-age=3600\r\nConnection: close\r\n\r\nuntil the end',
        );
      });
      await ask('/open');
      expect(statusOf(await ask('/open'))).not.toContain('hit');
    });

    test('of a body larger than maxEntryBytes, with or without a length; it is passed on whole', async () => {
      const text = 'x'.repeat(200_000);
      service.answer('/large', { headers: fresh, text });
      service.answer('/chunked', (_, response) => {
        response.writeHead(200, fresh);
        response.write(text.slice(0, 50_000));
        response.end(text.slice(50_000));
      });
      for (const path of ['/large', '/chunked']) {
        expect((await ask(path)).text).toBe(text);
        expect((await ask(path)).text).toBe(text);
        expect(service.asked(path)).toHaveLength(2);
      }
    });

    test('by a route with cache: false', async () => {
      service.answer('/off/1', { headers: fresh });
      await ask('/off/1');
      const answer = await ask('/off/1');
      expect(answer.headers['cache-status']).toBeUndefined();
      expect(service.asked('/off/1')).toHaveLength(2);
    });
  });

  describe('A write (RFC 9111 §4.4)', () => {
    test.each(['POST', 'PUT', 'PATCH', 'DELETE', 'M-SEARCH'])(
      'by %s makes what was stored there invalid',
      async (method) => {
        const path = `/written/${method}`;
        service.answer(path, { headers: fresh });
        await ask(path);
        await ask(`${path}?a=1`);
        await ask(path, {}, { method, body: 'x' });
        await ask(path);
        await ask(`${path}?a=1`);
        expect(service.asked(path).filter((request) => request.method === 'GET')).toHaveLength(4);
      },
    );

    test('makes Location and Content-Location of the same origin invalid, and the collection', async () => {
      for (const path of ['/w/items', '/w/items/7', '/w/items/8', '/w/else']) {
        service.answer(path, { headers: fresh });
        await ask(path);
      }
      service.answer('/w/items', {
        status: 201,
        headers: { location: '/w/items/7', 'content-location': `${service.url}/w/items/8` },
      });
      await ask('/w/items', {}, { method: 'POST', body: 'x' });
      for (const path of ['/w/items/7', '/w/items/8']) expect(statusOf(await ask(path))).not.toContain('hit');
      expect(statusOf(await ask('/w/else'))).toContain('hit');
      service.answer('/w/items', { headers: fresh });
      await ask('/w/items?first=10');
      await ask('/w/items/7', {}, { method: 'DELETE' });
      expect(statusOf(await ask('/w/items?first=10'))).not.toContain('hit');
    });

    test('of another origin makes nothing invalid', async () => {
      service.answer('/mine', { headers: fresh });
      await ask('/mine');
      service.answer('/theirs', { status: 201, headers: { location: 'http://elsewhere.example/mine' } });
      await ask('/theirs', {}, { method: 'POST', body: 'x' });
      expect(statusOf(await ask('/mine'))).toContain('hit');
    });

    test('that fails changes nothing; without an answer nobody knows', async () => {
      service.answer('/failed', { headers: fresh });
      await ask('/failed');
      service.answer('/failed', { status: 500 });
      await ask('/failed', {}, { method: 'POST', body: 'x' });
      expect(statusOf(await ask('/failed'))).toContain('hit');
      service.answer('/failed', (request) => request.socket.destroy());
      await ask('/failed', {}, { method: 'POST', body: 'x' });
      service.answer('/failed', { headers: fresh });
      expect(statusOf(await ask('/failed'))).not.toContain('hit');
    });

    test('that overtakes a read keeps what that brings back out of the store', async () => {
      const held: (() => void)[] = [];
      service.answer('/race', (request, response) => {
        const text = String(held.length + 1);
        if (request.method === 'GET')
          held.push(() => response.writeHead(200, { ...fresh, 'content-length': 1 }).end(text));
        else response.writeHead(204).end();
      });
      const before = ask('/race');
      await until(() => held.length === 1);
      await ask('/race', {}, { method: 'PUT', body: 'x' });
      // Who asks now does not ride on the call that began before.
      const after = ask('/race');
      await until(() => held.length === 2);
      held[1]!();
      expect((await after).text).toBe('2');
      held[0]!();
      expect((await before).text).toBe('1');
      const stored = await ask('/race');
      expect([stored.text, statusOf(stored)]).toEqual(['2', expect.stringContaining('hit')]);
    });

    test('by a route with tags makes invalid what has one of them', async () => {
      service.answer('/ruled/1', {});
      service.answer('/other/1', {});
      await ask('/ruled/1');
      await ask('/other/1');
      expect(statusOf(await ask('/other/1'))).toContain('hit');
      await ask('/ruled/2', {}, { method: 'POST', body: 'x' });
      service.answer('/ruled/2', { status: 204 });
      await ask('/ruled/2', {}, { method: 'POST', body: 'x' });
      expect(statusOf(await ask('/other/1'))).not.toContain('hit');
      expect(statusOf(await ask('/ruled/1'))).not.toContain('hit');
    });
  });
}
