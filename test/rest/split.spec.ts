import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import type { RequestContext } from '#core/context.ts';
import { anonymous } from '#core/identity.ts';
import { Split } from '#gateway/rest/split.ts';
import { problemsOf } from '../config/problems.ts';
import { newRequest, upstreamAt } from '../modules/harness.ts';
import { FileGateway } from '../support/file-gateway.ts';
import { startGateway } from '../support/gateway.ts';
import { send } from '../support/raw-client.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';

let blue: TestUpstream;
let green: TestUpstream;
let heard: { blue: number; green: number };

beforeAll(async () => {
  const of = (name: 'blue' | 'green') =>
    startUpstream((_request, response) => {
      heard[name]++;
      response.end(name);
    });
  [blue, green] = await Promise.all([of('blue'), of('green')]);
});

beforeEach(() => void (heard = { blue: 0, green: 0 }));

afterAll(() => Promise.all([blue.close(), green.close()]));

/** One service with an endpoint of each colour. */
const labelled = () => ({
  things: {
    endpoints: [
      { url: blue.url, labels: { colour: 'blue' } },
      { url: green.url, labels: { colour: 'green' } },
    ],
  },
});

const share = (colour: string, weight: number) => ({ upstream: 'things', labels: { colour }, weight });

async function gatewayWith(route: object): Promise<(headers?: Record<string, string>) => Promise<string>> {
  const gateway = await startGateway({
    upstreams: { ...labelled(), apart: { endpoints: [green.url] } },
    routes: [{ path: '/', ...route }],
  });
  onTestFinished(() => gateway.stop());
  return async (headers = {}) => (await send(gateway.url, { headers })).text;
}

/** Which clients get green, of so many. */
async function greenOf(ask: (headers: Record<string, string>) => Promise<string>, count = 40): Promise<Set<number>> {
  const found = new Set<number>();
  await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      if ((await ask({ 'x-client': `client-${index}` })) === 'green') found.add(index);
    }),
  );
  return found;
}

describe('A split that serves nobody', () => {
  test('is told before it runs', async () => {
    const upstream = 'upstreams: { a: { endpoints: [http://a] } }\n';
    const of = (route: string) => problemsOf(`${upstream}routes: [{ path: /a, ${route} }]`);
    expect(of('split: [{ upstream: a, weight: 0 }]')).toMatchObject([{ path: 'routes[0].split' }]);
    expect(of('split: [{ upstream: b, weight: 1 }]')).toMatchObject([
      { path: 'routes[0].split[0].upstream', message: "names 'b' as its upstream, which nothing defines" },
    ]);
    expect(of('upstream: a, split: [{ upstream: a, weight: 1 }]')).toMatchObject([{ path: 'routes[0].upstream' }]);
    expect(of('methods: [GET]')).toMatchObject([{ path: 'routes[0].upstream' }]);
    expect(of('upstream: a, sticky: consumer')).toMatchObject([{ path: 'routes[0].sticky' }]);
    const routes = [{ path: '/', split: [share('red', 1)] }];
    await expect(startGateway({ upstreams: labelled(), routes })).rejects.toThrow(
      /\{"colour":"red"\}, which none of them has/,
    );
  });
});

describe('A split by weight', () => {
  test('gives all to who has all, and none to a weight of 0', async () => {
    const ask = await gatewayWith({ split: [share('green', 0), share('blue', 100)] });
    await Promise.all(Array.from({ length: 40 }, (_, index) => ask({ 'x-client': String(index) })));
    expect(heard).toEqual({ blue: 40, green: 0 });
  });

  test('shares among labelled endpoints and upstreams, request by request', async () => {
    const ask = await gatewayWith({ split: [share('blue', 1), { upstream: 'apart', weight: 1 }] });
    // By chance, so it is bound to happen; how long that may take is the test's own timeout.
    while (heard.blue === 0 || heard.green === 0) await ask();
    expect(Object.keys(heard)).toHaveLength(2);
  });

  test('retries a call only among the endpoints that it is meant for', async () => {
    const failing = await startUpstream((_request, response) => void response.writeHead(503).end('red'));
    onTestFinished(() => failing.close());
    const gateway = await startGateway({
      upstreams: {
        things: {
          endpoints: [
            { url: failing.url, labels: { colour: 'red' } },
            { url: blue.url, labels: { colour: 'blue' } },
          ],
        },
      },
      routes: [{ path: '/', split: [share('red', 1)] }],
    });
    onTestFinished(() => gateway.stop());
    expect((await send(gateway.url)).status).toBe(503);
    expect([failing.requests.length > 1, heard.blue]).toEqual([true, 0]);
  });
});

describe('A canary that grows, sticky by a header', () => {
  test('keeps who it had at each step: 1, 5, 25, 50, 100; about as many as the weight says', () => {
    const things = upstreamAt('things', 'http://127.0.0.1:9');
    const to = (colour: string, weight: number) => ({
      upstream: things,
      labels: { colour },
      weight,
      transform: undefined,
      cache: false as const,
      fallback: undefined,
    });
    const clients = Array.from({ length: 2_000 }, (_, index) => {
      const context = newRequest();
      context.headers['x-client'] = `client-${index}`;
      return context;
    });
    let before = new Set<RequestContext>();
    for (const weight of [1, 5, 25, 50, 100]) {
      const split = new Split(
        [to('green', weight), to('blue', 100 - weight)],
        { from: 'header', name: 'x-client' },
        'orders',
      );
      const now = new Set(clients.filter((context) => split.choose(context).labels!.colour === 'green'));
      expect([...before].filter((client) => !now.has(client))).toEqual([]);
      expect(Math.abs(now.size / 20 - weight)).toBeLessThan(4);
      before = now;
    }
    expect(before.size).toBe(2_000);
  });

  test('sends each client where it went before', async () => {
    const split = [share('green', 25), share('blue', 75)];
    const ask = await gatewayWith({ name: 'canary', split, sticky: { header: 'x-client' } });
    const first = await greenOf(ask);
    expect(await greenOf(ask)).toEqual(first);
    expect(first.size).toBeGreaterThan(0);
  });

  test('is sticky by consumer: an application keeps to one, whatever its key came from', () => {
    const things = upstreamAt('things', 'http://127.0.0.1:9');
    const to = (colour: string) => ({
      upstream: things,
      labels: { colour },
      weight: 50,
      transform: undefined,
      cache: false as const,
      fallback: undefined,
    });
    const split = new Split([to('green'), to('blue')], { from: 'consumer' }, 'orders');
    const colourOf = (consumer: string) => {
      const context = newRequest();
      context.identity = { ...anonymous, consumer };
      return split.choose(context).labels!.colour;
    };
    const consumers = Array.from({ length: 40 }, (_, index) => `consumer-${index}`);
    const first = consumers.map(colourOf);
    expect(consumers.map(colourOf)).toEqual(first);
    expect(new Set(first)).toEqual(new Set(['green', 'blue']));
  });

  test('is sticky by cookie', async () => {
    const split = [share('green', 50), share('blue', 50)];
    const byCookie = await gatewayWith({ split, sticky: { cookie: 'session' } });
    const cookie = { cookie: 'a=1; session=abc' };
    const answers = await Promise.all(Array.from({ length: 12 }, () => byCookie(cookie)));
    expect(new Set(answers).size).toBe(1);
  });
});

describe('Reads that are under way', () => {
  test('are not shared between labels', async () => {
    const gateway = await startGateway({
      upstreams: labelled(),
      routes: ['blue', 'green'].map((colour) => ({
        path: '/',
        split: [share(colour, 1)],
        match: { headers: { 'x-colour': colour } },
      })),
    });
    onTestFinished(() => gateway.stop());
    const colours = Array.from({ length: 20 }, (_, index) => (index % 2 ? 'blue' : 'green'));
    const answers = await Promise.all(
      // What tells the two routes apart would tell the reads apart too, so it is not passed on.
      colours.map((colour) => send(gateway.url, { headers: { 'x-colour': colour, connection: 'x-colour' } })),
    );
    expect(answers.map(({ text }) => text)).toEqual(colours);
  });
});

describe('Blue-green', () => {
  test('is one line and a reload: not a request fails, and what is under way stays where it began', async () => {
    const config = (colour: string) => ({
      upstreams: labelled(),
      routes: [{ path: '/', split: [share(colour, 1)] }],
    });
    const gateway = await FileGateway.start(config('blue'));
    onTestFinished(() => gateway.stop());
    expect((await gateway.get('/')).text).toBe('blue');
    const over = new AbortController();
    const seen: (number | string)[] = [];
    const traffic = (async () => {
      while (!over.signal.aborted) {
        const { status, text } = await gateway.get('/');
        seen.push(status === 200 ? text : status);
      }
    })();
    expect(await gateway.change(config('green'))).toMatchObject({ ok: true });
    expect((await gateway.get('/')).text).toBe('green');
    over.abort();
    await traffic;
    expect(seen.filter((one) => one !== 'blue' && one !== 'green')).toEqual([]);
    expect(seen.lastIndexOf('blue')).toBeLessThan(seen.indexOf('green') < 0 ? seen.length : seen.indexOf('green'));
    expect(await gateway.rollback()).toMatchObject({ ok: true });
    expect((await gateway.get('/')).text).toBe('blue');
  });
});
