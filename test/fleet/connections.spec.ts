import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Certificates } from '../support/certificates.ts';
import { startFleet } from '../support/fleet.ts';
import type { GatewayProgram } from '../support/gateway-program.ts';
import { RawClient, send, until } from '../support/raw-client.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';

/** Connections that the primary has accepted are to a worker what those are that it accepts itself (docs/adr/0009). */

const files = new Certificates();
let upstream: TestUpstream;
let held: ServerResponse[] = [];
let fleet: GatewayProgram | undefined;

beforeAll(async () => {
  files.authority('ca');
  files.certificate('server', 'ca', { extension: 'subjectAltName=DNS:localhost,IP:127.0.0.1' });
  upstream = await startUpstream((request, response) => {
    if (request.url!.includes('slow')) held.push(response);
    else response.end('thing');
  });
});

afterEach(() => {
  fleet?.kill();
  fleet = undefined;
  held = [];
});

afterAll(async () => {
  await upstream.close();
  files.remove();
});

describe('A worker', { timeout: 120_000 }, () => {
  test('answers a client that has shut its side, ends a head that comes too slowly, and closes what is above maxConnections', async () => {
    fleet = await startFleet(upstream.url, { listen: { headersTimeout: '1s', maxConnections: 8 } });
    const { url } = fleet;
    const half = await RawClient.connect(url);
    half.head('GET /things/slow HTTP/1.1', 'Host: x');
    half.socket.end();
    await until(() => held.length === 1);
    held[0]!.end('late, but there');
    expect(await half.end()).toMatch(/^HTTP\/1\.1 200 [^]*late, but there$/);

    const slow = await RawClient.connect(url);
    slow.write('GET /things HTTP/1.1\r\nHost: x\r\n');
    expect(await slow.end()).toMatch(/^HTTP\/1\.1 408 /);

    const refused = fleet;
    const open = () => refused.metric('weir_server_connections');
    // Those before have left their places.
    await until(async () => (await open()) === 0);
    // Each of the two has half of the places.
    const clients = await Promise.all(Array.from({ length: 12 }, () => RawClient.connect(url)));
    await until(() => clients.filter(({ closed }) => closed).length === 4);
    await until(async () => (await refused.metric('weir_connections_refused_total')) === 4);
    for (const { socket } of clients) socket.destroy();
    await until(async () => (await open()) === 0);
    expect((await send(`${url}/things`)).text).toBe('thing');
    expect(await refused.stop()).toBe(0);
  });

  test('speaks TLS on them, and knows who is at the other end', async () => {
    const tls = { cert: files.path('server.crt'), key: files.path('server.key') };
    fleet = await startFleet(upstream.url, { listen: { tls } });
    for (let turn = 0; turn < 4; turn++) {
      const asked = httpsRequest(`${fleet.url}/things`, { ca: files.read('ca.crt'), agent: false });
      const answered = once(asked, 'response') as Promise<[IncomingMessage]>;
      asked.end();
      const [answer] = await answered;
      answer.resume();
      expect(answer.statusCode).toBe(200);
    }
    expect(upstream.requests.at(-1)!.headers).toMatchObject({
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-proto': 'https',
    });
    expect(await fleet.stop()).toBe(0);
  });
});
