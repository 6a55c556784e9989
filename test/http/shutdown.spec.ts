import { Agent } from 'node:http';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startGateway, untilIdle, type TestGateway } from '../support/gateway.ts';
import { RawClient, send, settle, until } from '../support/raw-client.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';

let service: TestUpstream;
let gateway: TestGateway;
let answers: (() => void)[];

beforeEach(async () => {
  answers = [];
  service = await startUpstream((request, response) => {
    if (request.url === '/quick') response.end('quick');
    else if (request.url === '/stream') {
      response.write('begun ');
      answers.push(() => response.end('ended'));
    } else answers.push(() => response.end('done'));
  });
});

afterEach(() => service.close());

async function start(drainDelay: string): Promise<void> {
  gateway = await startGateway({
    listen: { drainDelay, keepAliveTimeout: '60s' },
    upstreams: { service: { endpoints: [service.url] } },
    routes: [{ path: '{/*rest}', upstream: 'service' }],
  });
}

async function listens(): Promise<boolean> {
  return RawClient.connect(gateway.url).then(
    (client) => {
      client.socket.destroy();
      return true;
    },
    () => false,
  );
}

describe('A gateway that stops', () => {
  test('says that it is not ready, goes on serving for drainDelay, and asks its clients to leave', async () => {
    await start('300ms');
    const paths = ['/quick', '/docs/errors', '/a/%2e%2e'];
    const agents = paths.map(() => new Agent({ keepAlive: true }));
    for (const agent of agents)
      expect((await send(`${gateway.url}/quick`, { agent })).headers.connection).toBe('keep-alive');
    const stopped = gateway.stop();
    const ready = await send(`${gateway.adminUrl}/readyz`);
    expect([ready.status, ready.json().status]).toEqual([503, 'draining']);
    expect((await send(`${gateway.adminUrl}/livez`)).status).toBe(200);
    for (const [index, path] of paths.entries()) {
      const answer = await send(gateway.url + path, { agent: agents[index]! });
      expect([path, answer.headers.connection]).toEqual([path, 'close']);
    }
    await stopped;
    expect(await listens()).toBe(false);
    for (const agent of agents) agent.destroy();
  });

  test('keeps a connection that is opened meanwhile, and asks it to leave once nobody listens any more', async () => {
    await start('500ms');
    const stopped = gateway.stop();
    await until(async () => (await send(`${gateway.adminUrl}/readyz`)).status === 503);
    const client = await RawClient.connect(gateway.url);
    client.head('GET /quick HTTP/1.1', 'Host: x', 'X-Request-Id: first');
    expect(await client.until('quick')).toMatch(/\r\nConnection: keep-alive\r\n/i);
    await until(async () => !(await listens()));
    // What is on its way in that moment finds it open.
    client.head('GET /quick HTTP/1.1', 'Host: x', 'X-Request-Id: second');
    expect((await client.end()).split('x-request-id: second')[1]).toMatch(/^[^]*\r\nconnection: close\r\n[^]*quick$/i);
    await stopped;
  });

  test('resets no connection that was made just before it stopped listening', async () => {
    await start('200ms');
    const stopped = gateway.stop();
    const outcomes: Promise<string>[] = [];
    // A few at a time, and a pause: some are made, and not accepted yet, when the time is over.
    for (let refused = false; !refused;) {
      const clients = await Promise.all(
        Array.from({ length: 8 }, () => RawClient.connect(gateway.url).catch(() => undefined)),
      );
      for (const client of clients) {
        if (!client) refused = true;
        else outcomes.push(client.head('GET /quick HTTP/1.1', 'Host: x', 'Connection: close').end());
      }
      await settle(20);
    }
    const ended = await Promise.all(outcomes);
    expect(ended.length).toBeGreaterThan(20);
    expect(ended.filter((answer) => !answer.endsWith('quick'))).toEqual([]);
    await stopped;
  });

  test.each(['/slow', '/stream'])('finishes what is in flight, and takes nothing new meanwhile: %s', async (path) => {
    await start('0ms');
    const agent = new Agent({ keepAlive: true });
    const inFlight = send(gateway.url + path, { agent });
    await until(() => answers.length === 1);
    // A stream's head goes out before anyone thinks of stopping.
    await settle(30);
    let stopped = false;
    const stopping = gateway.stop().then(() => (stopped = true));
    await until(async () => !(await listens()));
    await settle(50);
    expect(stopped).toBe(false);
    answers[0]!();
    expect((await inFlight).text).toMatch(/done|begun ended/);
    // Although the client would keep its connection.
    await stopping;
    agent.destroy();
  });

  test('tells the client of a request in flight that its connection ends', async () => {
    await start('0ms');
    const agent = new Agent({ keepAlive: true });
    const inFlight = send(`${gateway.url}/slow`, { agent });
    await until(() => answers.length === 1);
    const stopping = gateway.stop();
    await settle(20);
    answers[0]!();
    expect((await inFlight).headers.connection).toBe('close');
    await stopping;
    agent.destroy();
  });

  test('does not wait for connections on which nothing happens', async () => {
    await start('0ms');
    const idle = await RawClient.connect(gateway.url);
    const used = await RawClient.connect(gateway.url);
    used.head('GET /quick HTTP/1.1', 'Host: x');
    await used.until('quick');
    const started = performance.now();
    await gateway.stop();
    expect(performance.now() - started).toBeLessThan(2000);
    await until(() => idle.closed && used.closed);
  });

  test('leaves no connection to an upstream behind', async () => {
    await start('0ms');
    await send(`${gateway.url}/quick`);
    await send(`${gateway.url}/quick`, { method: 'POST', body: 'x'.repeat(100_000) });
    await untilIdle(gateway);
    expect(service.connections.size).toBe(2);
    await gateway.stop();
    await until(() => service.connections.size === 0);
  });

  test('ends its log with every request that it served', async () => {
    await start('0ms');
    const client = await RawClient.connect(gateway.url);
    client.head('GET /slow HTTP/1.1', 'Host: x', 'X-Request-Id: last');
    await until(() => answers.length === 1);
    const stopping = gateway.stop();
    answers[0]!();
    await stopping;
    expect(await gateway.accessOf('last')).toMatchObject({ status: 200 });
    await until(() => client.closed);
  });
});
