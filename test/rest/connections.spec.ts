import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import { afterEach, describe, expect, test } from 'vitest';
import { startGateway, untilIdle, type TestGateway } from '../support/gateway.ts';
import { RawClient, send, settle, until, type Answer } from '../support/raw-client.ts';
import { answering, plain, startScriptedUpstream, type ScriptedUpstream } from '../support/scripted-upstream.ts';
import { deadUrl } from '../support/upstream.ts';

let service: ScriptedUpstream;
let gateway: TestGateway;

async function before(settings: object = {}, others: readonly string[] = []): Promise<void> {
  service = await startScriptedUpstream();
  gateway = await startGateway({
    upstreams: {
      service: {
        endpoints: [...others, service.url],
        retry: { attempts: 0 },
        attemptTimeout: '1s',
        breaker: { failures: 1 },
        ...settings,
      },
    },
    routes: [{ path: '{/*rest}', upstream: 'service' }],
  });
}

afterEach(async () => {
  await untilIdle(gateway);
  await gateway.stop();
  await service.close();
});

const forms = {
  'held, without a body': () => ({}),
  'held, with a body': () => ({ method: 'POST', body: 'small' }),
  streamed: () => ({ method: 'POST', body: Readable.from(['of unknown length']) }),
};

type Form = keyof typeof forms;

const names = Object.keys(forms) as Form[];

const ask = (form: Form, path = '/plain'): Promise<Answer> => send(gateway.url + path, forms[form]());

const upstream = () => gateway.gateway.assembly.upstreams.get('service')!;

describe.each(names)('A connection to an upstream, %s', (form) => {
  test('carries one request after the other', async () => {
    await before();
    for (let round = 0; round < 5; round++) expect((await ask(form)).text).toBe('plain');
    expect(service.heard.map(({ connection }) => connection)).toEqual([1, 1, 1, 1, 1]);
  });

  test.each([
    ['an answer that says so (RFC 9112 §9.6)', plain.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n')],
    ['an answer of HTTP/1.0 that does not say otherwise (§9.3)', plain.replace('1.1', '1.0')],
    ['bytes that belong to no answer', `${plain}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison`],
    ['bytes after a 204, which has none', 'HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\nany'],
    ['chunks that do not end', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\nno chunk'],
    ['an answer that is none', 'SSH-2.0-OpenSSH_9.6\r\n'],
  ])('carries none after %s', async (_, bytes) => {
    await before({ breaker: { failures: 100 } });
    service.scripts.set('/last', answering(bytes));
    await ask(form, '/last').catch(() => {});
    // It is not merely left alone.
    await until(() => service.connections.size === 0);
    expect((await ask(form)).text).toBe('plain');
    expect(service.heard.map(({ connection }) => connection)).toEqual([1, 2]);
  });

  test('carries none after an attempt that took too long, nor does its late answer answer another', async () => {
    await before({ attemptTimeout: '200ms', breaker: { failures: 100 } });
    service.scripts.set('/late', (socket) => setTimeout(() => socket.write(plain.replace('plain', 'latee')), 300));
    expect((await ask(form, '/late')).status).toBe(504);
    const answers = await Promise.all(Array.from({ length: 5 }, () => ask(form)));
    await settle(200);
    answers.push(await ask(form));
    expect(answers.map(({ text }) => text)).toEqual(Array.from({ length: 6 }, () => 'plain'));
  });

  test('carries none after a client that left in the middle of an answer', async () => {
    await before();
    service.scripts.set('/half', answering('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf'));
    const client = await RawClient.connect(gateway.url);
    if (form === 'held, without a body') client.head('GET /half HTTP/1.1', 'Host: x');
    else client.head('POST /half HTTP/1.1', 'Host: x', 'Transfer-Encoding: chunked').write('1\r\nx\r\n0\r\n\r\n');
    await client.until('half');
    client.reset();
    await until(() => service.connections.size === 0);
    expect((await ask(form)).text).toBe('plain');
    expect(upstream().breaker.state).toBe('closed');
  });

  test('is closed when something comes that nobody asked for', async () => {
    await before();
    service.scripts.set('/chatty', (socket) => {
      socket.write(plain);
      setTimeout(() => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison'), 30);
    });
    expect((await ask(form, '/chatty')).text).toBe('plain');
    await until(() => service.connections.size === 0);
    expect((await ask(form)).text).toBe('plain');
  });

  test('is never given two requests at once, however many there are', async () => {
    await before({ maxConnections: 4 });
    let underWay = 0;
    let most = 0;
    const busy = new Map<unknown, number>();
    service.scripts.set('/slow', (socket) => {
      busy.set(socket, (busy.get(socket) ?? 0) + 1);
      most = Math.max(most, busy.get(socket)!);
      underWay++;
      setTimeout(() => {
        busy.set(socket, busy.get(socket)! - 1);
        socket.write(plain);
      }, 5);
    });
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, number) => send(`${gateway.url}/slow?${number}`, forms[form]())),
    );
    expect(answers.every(({ text }) => text === 'plain')).toBe(true);
    expect([underWay, most]).toEqual([40, 1]);
  });
});

/** The connection serves one request; the next one on it finds it closed, as if both had met on the way. */
const stale = {
  'closed in order': (socket: Socket) => void socket.end(),
  reset: (socket: Socket) => void socket.resetAndDestroy(),
};

describe.each(Object.keys(stale) as (keyof typeof stale)[])('A connection that is found %s', (how) => {
  /** Requests for `/second` fail on connections that have served before, and are answered on new ones. */
  function makeStale(): void {
    const served = new Set<unknown>();
    service.scripts.set('/first', (socket) => {
      served.add(socket);
      socket.write(plain);
    });
    service.scripts.set('/second', (socket) => (served.has(socket) ? stale[how](socket) : void socket.write(plain)));
  }

  test.each(['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS'])(
    'costs a %s nothing: it is sent again at once, on another (RFC 9112 §9.3.1)',
    async (method) => {
      // Any other retry would wait longer than this test may take.
      await before({ retry: { attempts: 1, backoff: '10m', maxBackoff: '10m' }, timeout: '1h' });
      const body = method === 'PUT' || method === 'DELETE' ? { body: 'the same' } : {};
      for (let round = 0; round < 3; round++) {
        makeStale();
        await send(`${gateway.url}/first`);
        const answer = await send(`${gateway.url}/second`, { method, ...body });
        expect([answer.status, answer.text]).toEqual([200, method === 'HEAD' ? '' : 'plain']);
      }
      const seconds = service.heard.filter(({ line }) => line === `${method} /second`);
      expect(seconds.map((request) => request.body)).toEqual(Array.from({ length: 6 }, () => body.body ?? ''));
      // Nor does it speak against the service, that one failure would have taken out.
      expect([upstream().breaker.state, upstream().retries]).toEqual(['closed', 3]);
    },
  );

  test.each([
    ['POST', 'held', 'small'],
    ['PATCH', 'held', 'small'],
    ['POST', 'streamed', 'x'.repeat(70_000)],
  ])('fails a %s, %s, which may have been heard and is not sent again (RFC 9110 §9.2.2)', async (method, _, body) => {
    await before({ retry: { attempts: 3, backoff: '1ms' } });
    makeStale();
    await send(`${gateway.url}/first`, { method, body });
    const answer = await send(`${gateway.url}/second`, { method, body });
    expect([answer.status, answer.json().code]).toEqual([502, 'UPSTREAM_UNREACHABLE']);
    expect(service.heard.filter(({ line }) => line === `${method} /second`).length).toBe(1);
    expect([upstream().breaker.state, upstream().retries]).toEqual(['closed', 0]);
  });

  test('is not sent again without end, nor beyond the retry budget', async () => {
    await before({ retry: { attempts: 2, backoff: '1ms', budget: 0 } });
    makeStale();
    await send(`${gateway.url}/first`);
    expect((await send(`${gateway.url}/second`)).status).toBe(502);
    expect(upstream().breaker.state).toBe('closed');
  });

  test('after a part of an answer was not stale: that counts, and is retried like anything else', async () => {
    await before({ retry: { attempts: 1, backoff: '1ms' }, breaker: { failures: 1 } });
    service.scripts.set('/second', (socket) => {
      socket.write('HTTP/1.1 200 OK\r\nConte', () => setTimeout(stale[how], 20, socket));
    });
    await send(`${gateway.url}/first`);
    const answer = await send(`${gateway.url}/second`);
    expect(answer.status).toBeGreaterThanOrEqual(502);
    expect(upstream().breaker.state).toBe('open');
  });
});

describe('A request that never left', () => {
  test.each(['POST', 'PATCH', 'GET'])(
    'because nobody listens goes to the next endpoint, %s too: nothing can have been done',
    async (method) => {
      await before({ retry: { attempts: 1, backoff: '1ms', budget: 10 }, breaker: { failures: 1000 } }, [
        await deadUrl(),
      ]);
      const body = method === 'GET' ? {} : { body: 'once' };
      for (let round = 0; round < 6; round++) {
        expect((await send(gateway.url, { method, ...body })).text).toBe('plain');
      }
      expect(service.heard.length).toBe(6);
      expect(upstream().retries).toBeGreaterThan(0);
    },
  );

  test('is not confused with one that did: a POST whose new connection is lost is sent once', async () => {
    await before({ retry: { attempts: 3, backoff: '1ms' }, breaker: { failures: 1000 } });
    service.scripts.set('/lost', (socket) => void socket.end());
    const answer = await send(`${gateway.url}/lost`, { method: 'POST', body: 'once' });
    expect([answer.status, service.heard.length]).toEqual([502, 1]);
  });
});
