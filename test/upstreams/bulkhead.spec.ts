import { afterEach, describe, expect, test } from 'vitest';
import { startGateway, untilIdle, type TestGateway } from '../support/gateway.ts';
import { send, until } from '../support/raw-client.ts';
import { startUpstream, type Handler, type TestUpstream } from '../support/upstream.ts';

const services: TestUpstream[] = [];
let gateway: TestGateway;

afterEach(async () => {
  await untilIdle(gateway);
  await gateway.stop();
  await Promise.all(services.splice(0).map((service) => service.close()));
});

async function front(handler: Handler, settings: object): Promise<TestUpstream> {
  const upstream = await startUpstream(handler);
  services.push(upstream);
  gateway = await startGateway({
    upstreams: { things: { endpoints: [upstream.url], retry: { attempts: 0 }, ...settings } },
    routes: [{ path: '/*path', upstream: 'things' }],
  });
  return upstream;
}

/** A handler that holds its answers back until told. */
function holding(): { readonly handler: Handler; readonly held: (() => void)[] } {
  const held: (() => void)[] = [];
  return { held, handler: (_request, response) => void held.push(() => response.end('ok')) };
}

describe('The bulkhead', () => {
  test('maxInFlight: the call beyond it fails at once with 503 UPSTREAM_OVERLOADED and Retry-After', async () => {
    const { handler, held } = holding();
    await front(handler, { maxInFlight: 2 });
    const first = [send(`${gateway.url}/1`), send(`${gateway.url}/2`)];
    await until(() => held.length === 2);
    const refused = await send(`${gateway.url}/3`);
    expect(refused.status).toBe(503);
    expect(refused.json()).toMatchObject({ code: 'UPSTREAM_OVERLOADED', upstream: 'things' });
    expect(refused.headers['retry-after']).toBe('1');
    for (const answer of held) answer();
    expect((await Promise.all(first)).map(({ status }) => status)).toEqual([200, 200]);
    const next = send(`${gateway.url}/4`);
    await until(() => held.length === 3);
    held[2]!();
    expect(await next).toMatchObject({ status: 200 });
  });

  test('a full one says nothing about the upstream: the breaker stays closed', async () => {
    const { handler, held } = holding();
    await front(handler, { maxInFlight: 1, breaker: { failures: 2 } });
    const first = send(`${gateway.url}/1`);
    await until(() => held.length === 1);
    for (let count = 0; count < 5; count++) await send(`${gateway.url}/x${count}`);
    held[0]!();
    expect(await first).toMatchObject({ status: 200 });
    expect(gateway.gateway.assembly.upstreams.get('things')!.breaker.state).toBe('closed');
  });

  test('maxConnections: calls wait for one of the connections, which both forms of the exchange share', async () => {
    const { handler, held } = holding();
    const upstream = await front(handler, { maxConnections: 2 });
    const calls = [
      send(`${gateway.url}/1`),
      send(`${gateway.url}/2`, { method: 'POST', body: Buffer.alloc(100_000) }),
      send(`${gateway.url}/3`),
      send(`${gateway.url}/4`, { method: 'POST', body: Buffer.alloc(100_000) }),
    ];
    const { slots } = gateway.gateway.assembly.upstreams.get('things')!;
    await until(() => held.length === 2 && slots.waiting === 2);
    expect(upstream.connections.size).toBeLessThanOrEqual(2);
    for (let answered = 0; answered < 4; answered++) {
      await until(() => held.length > answered);
      held[answered]!();
    }
    expect((await Promise.all(calls)).map(({ status }) => status)).toEqual([200, 200, 200, 200]);
  });

  test('a client that leaves the queue for a connection leaves no trace in it', async () => {
    const { handler, held } = holding();
    await front(handler, { maxConnections: 1 });
    const first = send(`${gateway.url}/1`);
    const { slots } = gateway.gateway.assembly.upstreams.get('things')!;
    await until(() => held.length === 1);
    const leave = new AbortController();
    const second = fetch(`${gateway.url}/2`, { signal: leave.signal });
    await until(() => slots.waiting === 1);
    leave.abort();
    await expect(second).rejects.toThrow();
    await until(() => slots.waiting === 0);
    held[0]!();
    expect(await first).toMatchObject({ status: 200 });
  });
});
