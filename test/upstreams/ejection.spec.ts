import { afterEach, describe, expect, test } from 'vitest';
import { upstreamSchema } from '#upstreams/settings.ts';
import { startGateway, untilIdle, type TestGateway } from '../support/gateway.ts';
import { RawClient, send, settle, until } from '../support/raw-client.ts';
import { deadUrl, startRawUpstream, startScript, startUpstream, type Handler } from '../support/upstream.ts';

/** An endpoint that says its name, or does what the test wants of it just now. */
interface Named {
  readonly url: string;
  behave: Handler | undefined;
}

const services: { close(): Promise<void> }[] = [];
let gateway: TestGateway;
/** What `things` is configured with. */
let written: Record<string, unknown>;

afterEach(async () => {
  await untilIdle(gateway);
  await gateway.stop();
  await Promise.all(services.splice(0).map((service) => service.close()));
});

async function named(name: string): Promise<Named> {
  const service: { url: string; behave: Handler | undefined } = { url: '', behave: undefined };
  const upstream = await startUpstream((...call) =>
    service.behave && call[0].url !== '/health' ? service.behave(...call) : void call[1].end(name),
  );
  services.push(upstream);
  service.url = upstream.url;
  return service;
}

const sick: Handler = (_request, response) => void response.writeHead(500).end('sick');
const silent: Handler = () => {};
/** Long enough that nothing comes back by itself. */
const ejection = { failures: 3, for: '10m', maxFor: '1h' };

async function front(endpoints: readonly string[], settings: object = {}): Promise<void> {
  written = {
    endpoints,
    ejection,
    slowStart: '0ms',
    breaker: { failures: 10_000 },
    retry: { attempts: 0 },
    ...settings,
  };
  gateway = await startGateway({ upstreams: { things: written }, routes: [{ path: '/*path', upstream: 'things' }] });
}

const things = () => gateway.gateway.assembly.upstreams.get('things')!;
const endpoint = (index: number) => things().endpoints[index]!;
const ejected = () => things().endpoints.map(({ ejectedUntilMs }) => ejectedUntilMs !== undefined);
const logged = (message: string) => gateway.log.filter(({ msg }) => msg === message);
let asked = 0;
const ask = async (count: number, options: Parameters<typeof send>[1] = {}): Promise<string[]> => {
  const answers: string[] = [];
  for (let index = 0; index < count; index++) {
    const answer = await send(`${gateway.url}/${asked++}`, options).catch(() => undefined);
    answers.push(answer?.status === 200 ? answer.text : 'failed');
  }
  return answers;
};
/** Takes other settings as a reload does. */
const reload = (settings: object) => things().prepare(upstreamSchema.parse({ ...written, ...settings }))();

describe('An endpoint is ejected', () => {
  const kinds: readonly (readonly [string, () => Promise<string>])[] = [
    ['answers with statuses of breaker.on', async () => Object.assign(await named('a'), { behave: sick }).url],
    ['refuses connections', deadUrl],
    ['resets connections', async () => (await pushed(startRawUpstream((socket) => void socket.resetAndDestroy()))).url],
    ['does not answer in time', async () => Object.assign(await named('a'), { behave: silent }).url],
    ['talks something else than HTTP', async () => (await pushed(startScript('SSH-2.0-OpenSSH\r\n', 'end'))).url],
    [
      'breaks off in the middle of its answers',
      async () => (await pushed(startScript('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf', 'end'))).url,
    ],
  ];
  async function pushed<T extends { close(): Promise<void> }>(starting: Promise<T>): Promise<T> {
    const service = await starting;
    services.push(service);
    return service;
  }

  test.each(kinds)(
    'that %s, after as many failures in a row as configured; the others answer everything',
    async (_, start) => {
      const b = await named('b');
      await front([await start(), b.url], { attemptTimeout: '100ms' });
      expect(await ask(6)).toEqual(['failed', 'b', 'failed', 'b', 'failed', 'b']);
      expect(ejected()).toEqual([true, false]);
      expect(await ask(10)).toEqual(Array(10).fill('b'));
      expect(logged('endpoint ejected')).toMatchObject([{ upstream: 'things', endpoint: endpoint(0).origin }]);
      expect(endpoint(0).lastError).toBeDefined();
    },
  );

  test('by what the streaming form of the exchange sees, too', async () => {
    const [a, b] = [await named('a'), await named('b')];
    a.behave = sick;
    await front([a.url, b.url]);
    const large = { method: 'POST', body: Buffer.alloc(100_000) };
    await ask(6, large);
    expect(ejected()).toEqual([true, false]);
    expect(await ask(4, large)).toEqual(Array(4).fill('b'));
  });

  test('after five failures by default, beside the default breaker', async () => {
    const b = await named('b');
    await front([await deadUrl(), b.url], { ejection: {}, breaker: {} });
    await ask(9);
    expect(endpoint(0).ejections).toBe(1);
    expect(things().breaker.state).toBe('closed');
    expect(endpoint(0).ejectedUntilMs! - Date.now()).toBeGreaterThan(25_000);
    expect(endpoint(0).ejectedUntilMs! - Date.now()).toBeLessThanOrEqual(30_000);
  });

  test('and shows it in the metrics', async () => {
    const b = await named('b');
    await front([await deadUrl(), b.url]);
    await ask(6);
    const { text } = await send(`${gateway.adminUrl}/metrics`);
    const value = (name: string, of = '') =>
      Number(
        text
          .split('\n')
          .find((line) => line.startsWith(`${name}{`) && line.includes(of))
          ?.split(' ')
          .at(-1),
      );
    const { origin } = endpoint(0);
    expect(value('weir_upstream_endpoint_ejected', origin)).toBe(1);
    expect(value('weir_upstream_endpoint_ejected', endpoint(1).origin)).toBe(0);
    expect(value('weir_upstream_ejections_total')).toBe(1);
    expect(value('weir_upstream_endpoints')).toBe(2);
    expect(value('weir_upstream_endpoint_healthy', origin)).toBe(1);
    expect(value('weir_upstream_panic')).toBe(0);
  });
});

describe('An endpoint is not ejected', () => {
  test('for failures with successes between them', async () => {
    const [a, b] = [await named('a'), await named('b')];
    let count = 0;
    a.behave = (_request, response) => void response.writeHead(count++ % 3 === 2 ? 200 : 500).end('a');
    await front([a.url, b.url]);
    await ask(24);
    expect(ejected()).toEqual([false, false]);
  });

  test('for what clients do wrong: 4xx are signs of life', async () => {
    const [a, b] = [await named('a'), await named('b')];
    a.behave = (_request, response) => void response.writeHead(404).end();
    await front([a.url, b.url]);
    await ask(12);
    expect(ejected()).toEqual([false, false]);
  });

  test("for a client's own deadline, or its leaving", async () => {
    const [a, b] = [await named('a'), await named('b')];
    a.behave = b.behave = silent;
    await front([a.url, b.url], { attemptTimeout: '60s' });
    await ask(8, { headers: { 'x-weir-deadline-ms': '20' } });
    for (let count = 0; count < 8; count++) {
      const client = await RawClient.connect(gateway.url);
      client.head(`GET /left${count} HTTP/1.1`, 'Host: x');
      await until(() => things().inFlight === 1);
      client.reset();
      await until(() => things().inFlight === 0);
    }
    expect(ejected()).toEqual([false, false]);
    expect(things().endpoints.map(({ failures }) => failures)).toEqual([0, 0]);
  });

  test('for its health checks, which have consequences of their own; nor do they make up for calls that fail', async () => {
    const [a, b] = [await named('a'), await named('b')];
    let checks = 0;
    a.behave = (request, response) => {
      if (request.url === '/check') checks++;
      response.writeHead(request.url === '/check' && checks > 3 ? 200 : 500).end();
    };
    await front([a.url, b.url], {
      ejection: { ...ejection, failures: 2 },
      health: { path: '/check', every: '100ms', unhealthyAfter: 100 },
    });
    await until(() => checks === 3);
    expect(endpoint(0)).toMatchObject({ failures: 0, ejections: 0 });
    await ask(2);
    expect(endpoint(0).failures).toBe(1);
    await until(() => checks >= 5);
    await ask(2);
    expect(ejected()).toEqual([true, false]);
  });

  test('if it is the only one', async () => {
    await front([await deadUrl()]);
    await ask(10);
    expect(ejected()).toEqual([false]);
  });

  test('if it is the last that is in use: of two that fail one stays', async () => {
    await front([await deadUrl(), await deadUrl()], { ejection: { ...ejection, maxEjected: 1 } });
    await ask(30);
    expect(ejected().filter(Boolean)).toHaveLength(1);
  });

  test('if the others are out by their health checks', async () => {
    const a = await named('a');
    await front([a.url, await deadUrl()], {
      health: { path: '/health', every: '100ms', unhealthyAfter: 1 },
      panicThreshold: 0,
    });
    await until(() => !endpoint(1).healthy);
    a.behave = sick;
    await ask(12);
    expect(ejected()).toEqual([false, false]);
  });

  test('if an operator has drained the others', async () => {
    const [a, b] = [await named('a'), await named('b')];
    a.behave = sick;
    await front([a.url, b.url]);
    endpoint(1).drained = true;
    await ask(12);
    expect(ejected()).toEqual([false, false]);
  });

  test.each([
    [0.5, 5, 2],
    [0.1, 5, 1],
    [1, 5, 4],
  ])('beyond a share of %d: of %i that all fail %i are out', async (maxEjected, count, out) => {
    const dead = await Promise.all(Array.from({ length: count }, deadUrl));
    await front(dead, { ejection: { ...ejection, failures: 1, maxEjected }, panicThreshold: 0 });
    await ask(30);
    expect(ejected().filter(Boolean)).toHaveLength(out);
  });

  test('with failures: 0, and a reload to that brings back who is out', async () => {
    await front([await deadUrl(), await deadUrl()]);
    await ask(12);
    expect(ejected().filter(Boolean)).toHaveLength(1);
    reload({ ejection: { failures: 0 } });
    expect(ejected()).toEqual([false, false]);
    await ask(12);
    expect(ejected()).toEqual([false, false]);
  });
});

describe('An ejected endpoint', () => {
  test('comes back when its time is over', async () => {
    const [a, b] = [await named('a'), await named('b')];
    a.behave = sick;
    await front([a.url, b.url], { ejection: { failures: 1, for: '100ms' } });
    await ask(2);
    expect(ejected()).toEqual([true, false]);
    a.behave = undefined;
    await until(() => !ejected()[0]);
    expect(new Set(await ask(4))).toEqual(new Set(['a', 'b']));
    expect(logged('endpoint readmitted')).toMatchObject([{ endpoint: a.url }]);
  });

  test('is out twice as long each time, at most maxFor', async () => {
    await front([await deadUrl(), (await named('b')).url], {
      ejection: { failures: 1, for: '200ms', maxFor: '500ms' },
    });
    while (endpoint(0).ejections < 4) await ask(1);
    expect(logged('endpoint ejected').map(({ forMs }) => forMs)).toEqual([200, 400, 500, 500]);
  });

  test('is forgiven one ejection for each such time that it stays in use', async () => {
    const [a, b] = [await named('a'), await named('b')];
    a.behave = sick;
    await front([a.url, b.url], { ejection: { failures: 1, for: '50ms', maxFor: '10m' } });
    while (endpoint(0).ejections < 2) await ask(1);
    a.behave = undefined;
    await until(() => !ejected()[0]);
    await settle(120);
    a.behave = sick;
    while (endpoint(0).ejections < 3) await ask(1);
    expect(logged('endpoint ejected').map(({ forMs }) => forMs)).toEqual([50, 100, 50]);
  });

  test('is not brought back early by health checks that succeed', async () => {
    const [a, b] = [await named('a'), await named('b')];
    a.behave = sick;
    await front([a.url, b.url], { health: { path: '/health', every: '100ms', healthyAfter: 1 } });
    await ask(6);
    const outUntil = endpoint(0).ejectedUntilMs;
    await settle(350);
    expect(endpoint(0)).toMatchObject({ healthy: true, ejectedUntilMs: outUntil });
  });

  test('is not out the longer for calls that were under way when it was ejected', async () => {
    const [a, b] = [await named('a'), await named('b')];
    const held: (() => void)[] = [];
    a.behave = (_request, response) => void held.push(() => response.writeHead(500).end());
    await front([a.url, b.url], { attemptTimeout: '60s' });
    const calls = ask(1).then(() => Promise.all(Array.from({ length: 16 }, () => ask(1))));
    await until(() => held.length === 1);
    held.splice(0)[0]!();
    await until(() => held.length === 8);
    for (const answer of held) answer();
    await calls;
    expect(endpoint(0)).toMatchObject({ ejections: 1, ejectionLevel: 1 });
    expect(logged('endpoint ejected')).toHaveLength(1);
  });

  test('that leaves the upstream comes back as one that is new to it', async () => {
    const b = await named('b');
    const dead = await deadUrl();
    await front([dead, b.url]);
    await ask(6);
    reload({ endpoints: [b.url] });
    reload({ endpoints: [b.url, dead] });
    expect(ejected()).toEqual([false, false]);
    expect(endpoint(1).ejections).toBe(0);
  });
});

describe('Panic', () => {
  const health = { path: '/health', every: '100ms', timeout: '1s', unhealthyAfter: 1 };

  test('uses all endpoints when fewer than panicThreshold of them are up', async () => {
    const [a, b] = [await named('a'), await named('b')];
    const dead = [await deadUrl(), await deadUrl(), await deadUrl()];
    await front([a.url, b.url, ...dead], { health, panicThreshold: 0.5, ejection: { failures: 0 } });
    await until(() => things().endpoints.filter(({ healthy }) => healthy).length === 2);
    expect(things().rotation.panic).toBe(true);
    expect((await ask(10)).filter((answer) => answer === 'failed')).toHaveLength(6);
    expect(logged('too few endpoints are up, all are used')).toHaveLength(1);
    reload({ health, panicThreshold: 0.4 });
    expect(things().rotation.panic).toBe(false);
    expect(await ask(10)).not.toContain('failed');
    expect(logged('enough endpoints are up again')).toHaveLength(1);
  });

  test('is not there for a third that is up, by default', async () => {
    const a = await named('a');
    await front([await deadUrl(), a.url, await deadUrl()], { health });
    await until(() => things().endpoints.filter(({ healthy }) => healthy).length === 1);
    expect(await ask(6)).toEqual(Array(6).fill('a'));
  });

  test('does not use what an operator has drained, nor what has no weight', async () => {
    const [a, b] = [await named('a'), await named('b')];
    await front([await deadUrl(), a.url, b.url], { health, ejection: { failures: 0 } });
    reload({ health, endpoints: [{ url: endpoint(0).origin }, { url: a.url, weight: 0 }, b.url] });
    endpoint(2).drained = true;
    await until(() => !endpoint(0).healthy);
    expect(await ask(4)).toEqual(Array(4).fill('failed'));
  });
});

describe('A drained endpoint', () => {
  test('gets no calls, finishes what it has, and gets some again when it is undrained', async () => {
    const [a, b] = [await named('a'), await named('b')];
    let answer = () => {};
    a.behave = (_request, response) => void (answer = () => response.end('a'));
    await front([a.url, b.url]);
    const call = send(`${gateway.url}/held`);
    await until(() => endpoint(0).active === 1);
    endpoint(0).drained = true;
    expect(await ask(4)).toEqual(Array(4).fill('b'));
    answer();
    expect((await call).text).toBe('a');
    a.behave = undefined;
    endpoint(0).drained = false;
    expect(new Set(await ask(4))).toEqual(new Set(['a', 'b']));
  });

  test('is used if all are: an operator who drains them one by one must not take the service away', async () => {
    const [a, b] = [await named('a'), await named('b')];
    await front([a.url, b.url]);
    endpoint(0).drained = endpoint(1).drained = true;
    expect(new Set(await ask(4))).toEqual(new Set(['a', 'b']));
  });
});
