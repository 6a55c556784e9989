import { once } from 'node:events';
import { Agent } from 'node:http';
import { resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { readAnswers } from '../support/answers.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { GatewayProgram } from '../support/gateway-program.ts';
import { begin, RawClient, send, settle, until } from '../support/raw-client.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';
import { exposition } from '../telemetry/exposition.ts';

let service: TestUpstream;
let gateway: TestGateway;
/** Of requests to `/hold`, which wait for them. */
const answers: (() => void)[] = [];

beforeAll(async () => {
  service = await startUpstream((request, response) => {
    if (request.url === '/hold') answers.push(() => response.end('held'));
    else response.end('ok');
  });
  gateway = await startGateway({
    // However slow the machine is, nothing is refused for that.
    listen: { maxInFlight: 10, maxEventLoopLag: '60s' },
    upstreams: { service: { endpoints: [service.url] } },
    routes: [
      { name: 'hold', path: '/hold', upstream: 'service', criticality: 'critical' },
      { name: 'critical', path: '/critical', upstream: 'service', criticality: 'critical' },
      { name: 'default', path: '/default', upstream: 'service' },
      { name: 'sheddable', path: '/sheddable', upstream: 'service', criticality: 'sheddable' },
    ],
    cors: { origins: ['https://app.example.com'] },
  });
});

afterEach(() => {
  for (const answer of answers.splice(0)) answer();
});

afterAll(async () => {
  await gateway.stop();
  await service.close();
});

/** Puts so many requests in flight. @returns what lets them go */
async function hold(count: number): Promise<() => Promise<void>> {
  const held = Array.from({ length: count }, (_, index) =>
    // A deadline of its own keeps a read from riding on another's.
    send(`${gateway.url}/hold`, { headers: { 'x-weir-deadline-ms': String(60_000 + index) } }),
  );
  await until(() => answers.length === count);
  return async () => {
    for (const answer of answers.splice(0)) answer();
    expect((await Promise.all(held)).map(({ status }) => status)).toEqual(Array.from({ length: count }, () => 200));
    await until(async () => (await metric('http_server_active_requests')) === 0);
  };
}

/** The sum over all series of a metric that have these labels. */
async function metric(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
  const { text } = await send(`${gateway.adminUrl}/metrics`);
  const [family] = [name, name.replace(/_(count|sum|bucket)$/, '')].flatMap((key) => exposition(text).get(key) ?? []);
  const wanted = Object.entries(labels);
  return (family?.samples ?? [])
    .filter((sample) => sample.name === name && wanted.every(([key, value]) => sample.labels[key] === value))
    .reduce((sum, { value }) => sum + value, 0);
}

describe('A gateway with as much in flight as it takes', () => {
  test('refuses the next request at once: 503 OVERLOADED, with the head that every error has', async () => {
    const release = await hold(10);
    const answer = await send(`${gateway.url}/critical`, { headers: { 'x-request-id': 'mine' } });
    expect(answer.json()).toEqual({
      type: '/docs/errors/OVERLOADED',
      title: expect.any(String) as string,
      status: 503,
      code: 'OVERLOADED',
      requestId: 'mine',
    });
    expect(answer.headers).toMatchObject({
      'content-type': 'application/problem+json',
      'cache-control': 'no-store',
      'proxy-status': 'weir; error=http_request_denied',
      'x-request-id': 'mine',
    });
    // RFC 9110 §10.2.3: 0 would be now.
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
    await release();
    expect((await send(`${gateway.url}/critical`)).status).toBe(200);
  });

  test('gives an id of its own to a request without one, or with one that no log could hold', async () => {
    const release = await hold(10);
    for (const headers of [{}, { 'x-request-id': 'a b"c' }]) {
      const { headers: head, ...answer } = await send(`${gateway.url}/critical`, { headers });
      expect(head['x-request-id']).toMatch(/^[0-9a-f]{32}$/);
      expect(answer.json().requestId).toBe(head['x-request-id']);
    }
    await release();
  });

  test('keeps the connection of whom it refuses, since a new one would cost more than the refusal', async () => {
    const release = await hold(10);
    const client = await RawClient.connect(gateway.url);
    client.head('GET /critical HTTP/1.1', 'Host: x');
    await client.until('"requestId"');
    await release();
    client.head('GET /critical HTTP/1.1', 'Host: x');
    expect(await client.until('\r\n\r\nok')).toMatch(/^HTTP\/1\.1 503 [\s\S]*HTTP\/1\.1 200 /);
    client.socket.destroy();
  });

  test('answers requests in a pipeline one by one, in order (RFC 9112 §9.3.2)', async () => {
    const release = await hold(10);
    const client = await RawClient.connect(gateway.url);
    for (const id of ['a', 'b', 'c']) client.head('GET /critical HTTP/1.1', 'Host: x', `X-Request-Id: ${id}`);
    await client.until('"requestId":"c"');
    expect([...client.received.matchAll(/"requestId":"(\w)"/g)].map(([, id]) => id)).toEqual(['a', 'b', 'c']);
    client.socket.destroy();
    await release();
  });

  const get = 'GET /critical HTTP/1.1\r\nHost: x\r\n';

  test.each([
    [
      'a handshake (RFC 6455 §4.1)',
      `${get}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n`,
      [503, 503],
    ],
    ['what is no request (RFC 9112 §9.6)', 'nonsense\r\n\r\n', [503, 400]],
  ])('answers first what came in one packet before %s', async (_, behind, statuses) => {
    const release = await hold(10);
    const client = await RawClient.connect(gateway.url);
    client.write(`${get}\r\n${behind}`);
    expect(readAnswers(await client.end()).map(({ status }) => status)).toEqual(statuses);
    await release();
    expect((await send(`${gateway.url}/critical`)).status).toBe(200);
  });

  test('answers HEAD without a body', async () => {
    const release = await hold(10);
    const answer = await send(`${gateway.url}/critical`, { method: 'HEAD' });
    expect(answer).toMatchObject({ status: 503, text: '' });
    expect(answer.headers['retry-after']).toBeDefined();
    await release();
  });

  test('throws the body away that comes with it, and takes what comes after it for the next request', async () => {
    const release = await hold(10);
    const client = await RawClient.connect(gateway.url);
    client.head('POST /critical HTTP/1.1', 'Host: x', 'Content-Length: 100000');
    expect(await client.until('"requestId"')).toMatch(/^HTTP\/1\.1 503 /);
    const body = 'GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n';
    client.write(body + 'x'.repeat(100_000 - body.length));
    await release();
    client.head('GET /default HTTP/1.1', 'Host: x');
    // An id may have these digits, too.
    expect(await client.until('\r\n\r\nok')).not.toContain(' 404 ');
    client.socket.destroy();
  });

  test.each([
    [
      'waits to be asked for its body',
      ['POST /critical HTTP/1.1', 'Host: x', 'Content-Length: 5', 'Expect: 100-continue'],
    ],
    ['has a body in chunks', ['POST /critical HTTP/1.1', 'Host: x', 'Transfer-Encoding: chunked']],
    ['has a length that not everybody reads alike', ['POST /critical HTTP/1.1', 'Host: x', 'Content-Length: 010']],
    ['reads with a body', ['GET /critical HTTP/1.1', 'Host: x', 'Content-Length: 5']],
    ['is HTTP/1.0', ['GET /critical HTTP/1.0', 'Connection: keep-alive']],
  ])('closes the connection of a request of which nobody knows where it ends: one that %s', async (_, lines) => {
    const release = await hold(10);
    const client = await RawClient.connect(gateway.url);
    client.head(...lines);
    const answer = await client.end();
    expect(answer).toMatch(/^HTTP\/1\.1 503 /);
    expect(answer).toMatch(/\r\nconnection: close\r\n/i);
    expect(answer).not.toContain('100 Continue');
    await release();
  });

  test('refuses a WebSocket with an HTTP status, before anybody is asked', async () => {
    const release = await hold(10);
    const asked = service.requests.length;
    const client = await RawClient.connect(gateway.url);
    client.head(
      'GET /critical HTTP/1.1',
      'Host: x',
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
    );
    const answer = await client.end();
    expect(answer).toMatch(/^HTTP\/1\.1 503 [\s\S]*\r\nproxy-status: weir; error=http_request_denied\r\n/);
    expect(answer).toContain('"code":"OVERLOADED"');
    expect(service.requests.length).toBe(asked);
    await release();
  });

  test('counts what it refuses, and leaks nothing', async () => {
    const refused = { http_response_status_code: '503', error_type: 'OVERLOADED', http_request_method: 'GET' };
    const [requests, shed] = [
      await metric('http_server_request_duration_seconds_count', refused),
      await metric('weir_shed_total', { weir_criticality: 'any', weir_shed_reason: 'in_flight' }),
    ];
    const release = await hold(10);
    for (let index = 0; index < 5; index++) await send(`${gateway.url}/critical`);
    // One whose client has gone before it was answered is no other.
    const gone = begin(`${gateway.url}/critical`);
    gone.on('error', () => {});
    gone.end();
    await once(gone, 'finish');
    gone.destroy();
    await until(async () => (await metric('weir_shed_total', { weir_criticality: 'any' })) === shed + 6);
    expect(await metric('http_server_request_duration_seconds_count', refused)).toBe(requests + 6);
    await release();
    expect(await metric('http_server_active_requests')).toBe(0);
  });

  test('is still healthy, and can be asked by its operators', async () => {
    const release = await hold(10);
    expect((await send(`${gateway.url}/critical`)).status).toBe(503);
    for (const path of ['/livez', '/readyz', '/metrics']) {
      expect((await send(gateway.adminUrl + path)).status).toBe(200);
    }
    await release();
  });
});

describe('A gateway that is nearly full', () => {
  test.each([
    [6, { critical: 200, default: 200, sheddable: 200 }],
    [7, { critical: 200, default: 200, sheddable: 503 }],
    [9, { critical: 200, default: 503, sheddable: 503 }],
  ])('refuses the least critical first: with %i of 10 in flight', async (count, expected) => {
    const release = await hold(count);
    for (const [name, status] of Object.entries(expected)) {
      const answer = await send(`${gateway.url}/${name}`);
      expect([name, answer.status]).toEqual([name, status]);
      if (status === 503) {
        expect(answer.json()).toMatchObject({ code: 'OVERLOADED', requestId: answer.headers['x-request-id'] });
        expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
        expect(answer.headers['proxy-status']).toBe('weir; error=http_request_denied');
      }
    }
    await release();
  });

  test('counts by criticality what it refuses', async () => {
    const shed = () => metric('weir_shed_total', { weir_criticality: 'sheddable', weir_shed_reason: 'in_flight' });
    const before = await shed();
    const release = await hold(7);
    await send(`${gateway.url}/sheddable`);
    expect(await shed()).toBe(before + 1);
    await release();
  });

  test('refuses those of other origins with the headers of CORS, or their scripts could not read when to come back', async () => {
    const release = await hold(7);
    const headers = { origin: 'https://app.example.com' };
    const answer = await send(`${gateway.url}/sheddable`, { headers });
    expect(answer.status).toBe(503);
    expect(answer.headers['access-control-allow-origin']).toBe('https://app.example.com');
    expect(answer.headers['retry-after']).toBeDefined();
    // What asks first is no load, and its answer is what the browser goes by.
    const preflight = { ...headers, 'access-control-request-method': 'GET' };
    expect((await send(`${gateway.url}/sheddable`, { method: 'OPTIONS', headers: preflight })).status).toBe(204);
    await release();
  });

  test('says of what has no route that it has none', async () => {
    const release = await hold(9);
    expect((await send(`${gateway.url}/nowhere`)).json()).toMatchObject({ code: 'ROUTE_NOT_FOUND' });
    expect((await send(`${gateway.url}/hold`, { method: 'BREW' }).catch(() => ({ status: 400 }))).status).toBeLessThan(
      500,
    );
    await release();
  });

  test('serves all again on the connections that it kept', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const release = await hold(9);
    for (let index = 0; index < 20; index++) {
      expect((await send(`${gateway.url}/default`, { agent })).status).toBe(503);
    }
    await release();
    expect((await send(`${gateway.url}/default`, { agent })).status).toBe(200);
    agent.destroy();
  });

  test('lets a module that sees every request see those it refuses too late to matter: none', async () => {
    const release = await hold(7);
    const asked = service.requests.length;
    for (let index = 0; index < 10; index++) await send(`${gateway.url}/sheddable`);
    await settle();
    expect(service.requests.length).toBe(asked);
    await release();
  });
});

describe('A gateway whose event loop is blocked by a module', () => {
  let program: GatewayProgram;
  let things: TestUpstream;

  beforeAll(async () => {
    things = await startUpstream((_request, response) => response.end('[]'));
    program = await GatewayProgram.start({
      modules: resolve('test/fixtures/things'),
      listen: { maxEventLoopLag: '50ms' },
      upstreams: { things: { endpoints: [things.url] } },
    });
  });

  afterAll(async () => {
    program.kill();
    agents.flood.destroy();
    agents.probe.destroy();
    await things.close();
  });

  // A blocked process takes up new connections slowly, so these are there before.
  const agents = { flood: new Agent({ keepAlive: true, maxSockets: 40 }), probe: new Agent({ keepAlive: true }) };

  async function query(text: string, agent = agents.probe): Promise<number> {
    const answer = await send(`${program.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ query: text }),
      agent,
    });
    return answer.status;
  }

  test('refuses what is sheddable while what is critical passes, and says that it lives', async () => {
    await Promise.all(Array.from({ length: 40 }, () => query('{ vitalAnswer }', agents.flood)));
    await query('{ vitalAnswer }');
    const flooding = { on: true };
    const flooded = new Set<number>();
    // Several times what it can do, whether or not it answers, one after the other.
    const flood = async (_: unknown, index: number) => {
      await new Promise((proceed) => setTimeout(proceed, index * 10));
      while (flooding.on) {
        flooded.add(await query('{ busy(ms: 30) }', agents.flood));
        await new Promise((proceed) => setTimeout(proceed, 250));
      }
    };
    const floods = Promise.all(Array.from({ length: 40 }, flood));
    // Until shedding has set in; then it must hold.
    let inARow = 0;
    await until(async () => (inARow = (await query('{ spareAnswer }')) === 503 ? inARow + 1 : 0) === 5);
    const rounds: { critical: number; sheddable: number }[] = [];
    const health = new Set<number>();
    // A machine that does something else meanwhile makes waves; between them 12 of 15 fare as they should, each of both kinds.
    await until(async () => {
      rounds.push({ critical: await query('{ vitalAnswer }'), sheddable: await query('{ spareAnswer }') });
      health.add((await program.admin(rounds.length % 2 ? '/livez' : '/readyz')).status);
      const last = rounds.slice(-15);
      const served = last.filter(({ critical }) => critical === 200).length;
      const shed = last.filter(({ sheddable }) => sheddable === 503).length;
      return served >= 12 && shed >= 12;
    });
    flooding.on = false;
    await floods;
    // Whatever the waves: it is not the critical ones that suffer first.
    const reversed = rounds.filter(({ critical, sheddable }) => critical === 503 && sheddable === 200);
    expect(reversed.length).toBeLessThanOrEqual(rounds.length / 10);
    expect(health).toEqual(new Set([200]));
    // Of what is in between, a share.
    expect(flooded).toEqual(new Set([200, 503]));
    const shed = await program.metric('weir_shed_total', 'shed_reason="event_loop"', 'criticality="sheddable"');
    expect(shed).toBeGreaterThan(10);
  }, 60_000);

  test('serves everybody again once it is over', async () => {
    await until(async () => (await query('{ spareAnswer }')) === 200);
    expect(await query('{ busy(ms: 1) spareAnswer }')).toBe(200);
    await until(async () => (await program.metric('weir_shed_share_ratio')) === 0);
  }, 30_000);
});
