import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { RawClient, send, until } from '../support/raw-client.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';

let service: TestUpstream;
let gateway: TestGateway;
const answers: (() => void)[] = [];

beforeAll(async () => {
  service = await startUpstream((_request, response) => void answers.push(() => response.end('ok')));
  gateway = await startGateway({
    listen: { maxInFlight: 2, maxConnections: 4 },
    upstreams: { service: { endpoints: [service.url] } },
    routes: [{ path: '{/*rest}', upstream: 'service' }],
  });
});

afterAll(async () => {
  await gateway.stop();
  await service.close();
});

describe('A gateway that has too much to do', () => {
  test('refuses requests above maxInFlight at once: 503 OVERLOADED with Retry-After', async () => {
    const inFlight = [send(`${gateway.url}/1`), send(`${gateway.url}/2`)];
    await until(() => answers.length === 2);
    const refused = await send(`${gateway.url}/3`);
    expect(refused.json()).toMatchObject({ status: 503, code: 'OVERLOADED' });
    expect(refused.headers).toMatchObject({ 'retry-after': '1', connection: 'close' });
    for (const answer of answers.splice(0)) answer();
    expect((await Promise.all(inFlight)).map(({ status }) => status)).toEqual([200, 200]);
    const next = send(`${gateway.url}/4`);
    await until(() => answers.length === 1);
    answers.splice(0)[0]!();
    expect((await next).status).toBe(200);
  });

  test('closes connections above maxConnections at once, and serves the others', async () => {
    const clients = await Promise.all(Array.from({ length: 4 }, () => RawClient.connect(gateway.url)));
    const fifth = await RawClient.connect(gateway.url);
    await until(() => fifth.closed);
    clients[0]!.head('GET /docs/errors HTTP/1.1', 'Host: x');
    expect(await clients[0]!.until('\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 /);
    for (const { socket } of clients) socket.destroy();
  });
});
