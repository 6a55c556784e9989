import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Override } from '#gateway/control/override.ts';
import { startConsul } from '../support/consul.ts';
import { startGateway, untilIdle, type TestGateway } from '../support/gateway.ts';
import { send, until, type Answer } from '../support/raw-client.ts';
import { startUpstream, type Handler, type TestUpstream } from '../support/upstream.ts';

const well: Handler = (_request, response) => void response.end('ok');
let behave: Handler = well;
let one: TestUpstream;
let other: TestUpstream;
let gateway: TestGateway;

beforeEach(async () => {
  behave = well;
  one = await startUpstream((...call) => behave(...call));
  other = await startUpstream((...call) => behave(...call));
  gateway = await startGateway({
    upstreams: {
      pair: {
        endpoints: [one.url, other.url],
        retry: { attempts: 0 },
        breaker: { failures: 3, openFor: '200ms', successes: 1 },
        ejection: { failures: 0 },
        slowStart: '0ms',
      },
      lone: { endpoints: [one.url] },
    },
    routes: [
      { name: 'pair', path: '/pair/*path', upstream: 'pair' },
      { name: 'lone', path: '/lone/*path', upstream: 'lone' },
    ],
  });
});

afterEach(async () => {
  await untilIdle(gateway);
  await gateway.stop();
  await one.close();
  await other.close();
});

const anna = { by: 'anna', reason: 'incident 12' };

function post(body: object | string): Promise<Answer> {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return send(`${gateway.adminUrl}/admin/overrides`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: text,
  });
}

const remove = (query: string) => send(`${gateway.adminUrl}/admin/overrides${query}`, { method: 'DELETE' });

async function list(): Promise<readonly Override[]> {
  return JSON.parse((await send(`${gateway.adminUrl}/admin/overrides`)).text) as readonly Override[];
}

const pair = () => gateway.gateway.assembly.upstreams.get('pair')!;
const audit = () =>
  gateway.log.filter(({ msg }) => msg === 'operator').map(({ happened, target, by }) => [happened, target, by]);

let asked = 0;
/** Each call to a path of its own, or some would be one. */
async function ask(times = 1, path = '/pair'): Promise<number[]> {
  const statuses: number[] = [];
  for (let count = 0; count < times; count++) statuses.push((await send(`${gateway.url}${path}/${asked++}`)).status);
  return statuses;
}

describe('A breaker held open', () => {
  test('refuses calls at once, without a call to the upstream, until the override is removed', async () => {
    const set = await post({ kind: 'upstream', target: 'pair', action: 'open', for: '5m', ...anna });
    expect(set.status).toBe(201);
    const refused = await send(`${gateway.url}/pair/a`);
    expect([refused.status, refused.json().code]).toEqual([503, 'UPSTREAM_UNAVAILABLE']);
    expect(Number(refused.headers['retry-after'])).toBeGreaterThanOrEqual(1);
    expect([one.requests.length, other.requests.length]).toEqual([0, 0]);
    expect(await ask(1, '/lone')).toEqual([200]);
    const removed = await remove('?kind=upstream&target=pair&by=ben');
    expect([removed.status, (removed.json().removed as unknown[]).length]).toEqual([200, 1]);
    expect(await ask(2)).toEqual([200, 200]);
    expect(audit()).toEqual([
      ['set', 'pair', 'anna'],
      ['removed', 'pair', 'ben'],
    ]);
  });

  test('ends by itself when its time is over', async () => {
    await post({ kind: 'upstream', target: 'pair', action: 'open', for: '1s', ...anna });
    expect(await ask()).toEqual([503]);
    await until(() => pair().breaker.state === 'closed');
    expect(await ask()).toEqual([200]);
    expect([await list(), audit().at(-1)]).toEqual([[], ['expired', 'pair', 'anna']]);
  });

  test('stays open over a reload, since it is held by name', async () => {
    await post({ kind: 'upstream', target: 'pair', action: 'open', ...anna });
    expect((await gateway.gateway.control.reload()).ok).toBe(true);
    expect(await ask()).toEqual([503]);
    expect((await list()).map(({ target }) => target)).toEqual(['pair']);
  });

  test('shows who holds it, since when, and until when', async () => {
    await post({ kind: 'upstream', target: 'pair', action: 'open', for: '5m', ...anna });
    const [override] = await list();
    expect(override).toMatchObject({ kind: 'upstream', target: 'pair', action: 'open', ...anna, from: '127.0.0.1' });
    expect(Date.parse(override!.until) - Date.parse(override!.at)).toBe(300_000);
    const status = (await send(`${gateway.adminUrl}/admin/upstreams/pair`)).json();
    expect(status).toMatchObject({ breaker: { state: 'open', forced: 'open', until: override!.until } });
    expect(status.problems).toEqual(['an operator holds its breaker open: all calls are refused']);
  });

  test('lets health checks and what is under way go on', async () => {
    const held: (() => void)[] = [];
    behave = (_request, response) => void held.push(() => response.end('late'));
    const slow = send(`${gateway.url}/pair/slow`);
    await until(() => held.length === 1);
    await post({ kind: 'upstream', target: 'pair', action: 'open', ...anna });
    held[0]!();
    expect((await slow).text).toBe('late');
  });
});

describe('A breaker held closed', () => {
  test('lets calls flow whatever fails, and takes up where it was afterwards', async () => {
    behave = (_request, response) => void response.writeHead(500).end();
    await post({ kind: 'upstream', target: 'pair', action: 'close', ...anna });
    expect(await ask(6)).toEqual([500, 500, 500, 500, 500, 500]);
    await remove('?kind=upstream&target=pair&by=anna');
    expect(pair().breaker.state).toBe('closed');
    expect(await ask(4)).toEqual([500, 500, 500, 503]);
  });

  test('opens no more for calls that began before, and none of them counts later', async () => {
    const held: (() => void)[] = [];
    behave = (_request, response) => void held.push(() => response.writeHead(500).end());
    const slow = Array.from({ length: 3 }, (_, index) => send(`${gateway.url}/pair/before-${index}`));
    await until(() => held.length === 3);
    await post({ kind: 'upstream', target: 'pair', action: 'close', ...anna });
    await remove('?kind=upstream&target=pair&by=anna');
    for (const answer of held) answer();
    await Promise.all(slow);
    expect(pair().breaker.state).toBe('closed');
  });

  test('carries traffic through an open breaker, which is half-open when it is let go', async () => {
    behave = (_request, response) => void response.writeHead(500).end();
    expect(await ask(4)).toEqual([500, 500, 500, 503]);
    await post({ kind: 'upstream', target: 'pair', action: 'close', ...anna });
    behave = well;
    expect(await ask(2)).toEqual([200, 200]);
    await new Promise((resolve) => setTimeout(resolve, 220));
    await remove('?kind=upstream&target=pair&by=anna');
    expect(pair().breaker.state).toBe('half-open');
    expect(await ask()).toEqual([200]);
    expect(pair().breaker.state).toBe('closed');
  });

  test('is not stuck half-open by a probe that was under way when it was held', async () => {
    behave = (_request, response) => void response.writeHead(500).end();
    await ask(3);
    await new Promise((resolve) => setTimeout(resolve, 220));
    const held: (() => void)[] = [];
    behave = (_request, response) => void held.push(() => response.end());
    const probe = send(`${gateway.url}/pair/probe`);
    await until(() => held.length === 1);
    await post({ kind: 'upstream', target: 'pair', action: 'close', ...anna });
    await remove('?kind=upstream&target=pair&by=anna');
    behave = well;
    expect(await ask()).toEqual([200]);
    held[0]!();
    await probe;
    expect(pair().breaker.state).toBe('closed');
  });
});

describe('A drained endpoint', () => {
  test('finishes what it has, gets nothing new, and is given back', async () => {
    const held: (() => void)[] = [];
    behave = (_request, response) => void held.push(() => response.end('late'));
    const slow = [send(`${gateway.url}/pair/1`), send(`${gateway.url}/pair/2`)];
    await until(() => held.length === 2);
    behave = well;
    expect((await post({ kind: 'endpoint', target: other.url, action: 'drain', ...anna })).status).toBe(201);
    const before = other.requests.length;
    expect(new Set(await ask(6))).toEqual(new Set([200]));
    expect(other.requests.length).toBe(before);
    for (const answer of held) answer();
    expect((await Promise.all(slow)).map(({ text }) => text)).toEqual(['late', 'late']);
    await remove(`?kind=endpoint&target=${encodeURIComponent(`${other.url}/`)}&by=anna`);
    await ask(4);
    expect(other.requests.length).toBe(before + 2);
  });

  test('may not be the last of an upstream, even by another name of the same address', async () => {
    await gateway.stop();
    gateway = await startGateway({
      upstreams: {
        pair: { endpoints: [one.url, other.url] },
        idle: { endpoints: [one.url, { url: other.url, weight: 0 }] },
      },
      routes: [{ path: '/pair/*path', upstream: 'pair' }],
    });
    const refused = await post({ kind: 'endpoint', target: one.url, action: 'drain', ...anna });
    expect([refused.status, refused.json().detail]).toEqual([
      409,
      `'${one.url}' is the last endpoint of 'idle' that is not drained, so its calls would have nowhere to go. ` +
        "Undrain another first; to refuse all calls to 'idle', open its breaker.",
    ]);
    expect((await post({ kind: 'endpoint', target: other.url, action: 'drain', ...anna })).status).toBe(201);
    expect((await post({ kind: 'endpoint', target: one.url, action: 'drain', ...anna })).status).toBe(409);
    // Once more for the one that is drained already is a longer time for it.
    expect((await post({ kind: 'endpoint', target: other.url, action: 'drain', ...anna })).status).toBe(201);
  });

  test('is drained still when it leaves a discovery and comes back', async () => {
    const consul = await startConsul();
    const [first, second] = [one, other].map(({ port }) => ({ id: `i${port}`, address: '127.0.0.1', port }));
    consul.register('pair', [first!, second!]);
    await gateway.stop();
    gateway = await startGateway({
      upstreams: { pair: { discovery: { kind: 'consul', url: consul.url, service: 'pair' } } },
      routes: [{ path: '/pair/*path', upstream: 'pair' }],
    });
    const states = () => pair().endpoints.map(({ origin, drained }) => [origin, drained]);
    await until(() => states().length === 2);
    expect((await post({ kind: 'endpoint', target: other.url, action: 'drain', ...anna })).status).toBe(201);
    consul.register('pair', [first!]);
    await until(() => states().length === 1);
    consul.register('pair', [first!, second!]);
    await until(() => states().length === 2);
    expect(new Map(states() as [string, boolean][])).toEqual(
      new Map([
        [one.url, false],
        [other.url, true],
      ]),
    );
    expect((await send(`${gateway.adminUrl}/admin/upstreams/pair`)).json()).toMatchObject({
      discovery: { kind: 'consul', lastAnswer: expect.stringMatching(/Z$/) as string },
    });
    await gateway.stop();
    await consul.close();
    gateway = await startGateway({ upstreams: {}, routes: [] });
  });
});

describe('/admin/overrides', () => {
  test.each([
    ['an upstream', { kind: 'upstream', target: 'pear', action: 'open' }],
    ['a route', { kind: 'route', target: 'lobe', action: 'debug' }],
  ])('finds no such target: %s, and lists those that there are', async (_what, wanted) => {
    const known = expect.arrayContaining(['pair', 'lone']) as string[];
    const answer = await post({ ...wanted, ...anna });
    expect(answer.status).toBe(404);
    expect(answer.json()).toMatchObject({ status: 404, known });
    expect(answer.json().detail).toContain(`There is no ${wanted.kind} '${wanted.target}'. There are: `);
    const undone = await remove(`?kind=${wanted.kind}&target=${wanted.target}&by=anna`);
    expect([undone.status, undone.json().known]).toEqual([404, known]);
  });

  test('finds no such endpoint, and lists those that there are', async () => {
    const answer = await post({ kind: 'endpoint', target: 'http://127.0.0.1:9', action: 'drain', ...anna });
    expect([answer.status, answer.json().known]).toEqual([404, [one.url, other.url]]);
  });

  test('takes for nothing wrong that nothing is held', async () => {
    const answer = await remove('?kind=upstream&target=pair&by=anna');
    expect([answer.status, answer.json()]).toEqual([200, { removed: [] }]);
    expect((await remove('/nothing?by=anna')).status).toBe(404);
  });

  test('removes one by its id', async () => {
    await post({ kind: 'consumer', target: 'acme', action: 'debug', ...anna });
    const [{ id } = { id: '' }] = await list();
    expect((await remove(`/${id}?by=anna`)).status).toBe(200);
    expect(await list()).toEqual([]);
  });

  test('says what an override replaces', async () => {
    await post({ kind: 'upstream', target: 'pair', action: 'open', ...anna });
    const answer = await post({ kind: 'upstream', target: 'pair', action: 'close', ...anna });
    expect(answer.json()).toMatchObject({ set: { action: 'close' }, removed: [{ action: 'open' }] });
    expect((await list()).length).toBe(1);
    expect(await ask()).toEqual([200]);
  });

  test.each([
    ['nobody', { by: undefined }, 'by: '],
    ['no kind', { kind: 'thing' }, 'kind: '],
    ['an action of another kind', { action: 'drain' }, 'action: is not for this kind; write open or close.'],
    ['no target', { target: '' }, 'target: is empty.'],
    ['a name too long for any', { target: 'x'.repeat(513) }, 'target: is longer than 512 characters.'],
    ['control characters, which end up in a terminal', { reason: 'a\u001b[2Jb' }, 'reason: has control characters.'],
    ['no duration', { for: 'soon' }, 'for: write a duration such as 800ms or 30s, at least 1s and at most 1d.'],
    ['a moment', { for: '999ms' }, 'for: is out of bounds; write a duration of at least 1s and at most 1d.'],
    ['more than a day', { for: '25h' }, 'for: is out of bounds; write a duration of at least 1s and at most 1d.'],
    ['a key it does not know', { forever: true }, 'Unrecognized key: "forever".'],
  ])('takes no override of %s', async (_what, wrong, says) => {
    const answer = await post({ kind: 'upstream', target: 'pair', action: 'open', ...anna, ...wrong });
    expect([answer.status, answer.headers['content-type']]).toEqual([400, 'application/problem+json; charset=utf-8']);
    expect(answer.json().detail).toContain(says);
    expect(await list()).toEqual([]);
  });

  test.each([
    ['a list', '[]'],
    ['a number', '1'],
    ['nothing', '{}'],
  ])('takes no override that is %s', async (_what, body) => {
    expect((await post(body)).status).toBe(400);
  });

  test.each([
    ['no URL', { kind: 'endpoint', action: 'drain' }, 'target: write a URL such as http://127.0.0.1:5002.'],
    ['no trace id', { kind: 'trace', action: 'debug' }, 'target: write a trace id of 32 hex digits.'],
  ])('takes no target that is %s', async (_what, wanted, says) => {
    expect((await post({ ...wanted, target: 'orders', ...anna })).json().detail).toBe(says);
  });

  test('removes nothing for who does not say what, or who he is', async () => {
    await post({ kind: 'upstream', target: 'pair', action: 'open', ...anna });
    for (const query of [
      '',
      '?by=anna',
      '?kind=upstream&target=pair',
      '?kind=upstream&kind=route&by=anna',
      '?id=1&by=anna',
    ])
      expect((await remove(query)).status).toBe(400);
    expect((await list()).length).toBe(1);
  });

  test('takes a hundred, and then no more', async () => {
    for (let count = 0; count < 100; count++)
      await post({ kind: 'consumer', target: `c${count}`, action: 'debug', ...anna });
    const answer = await post({ kind: 'consumer', target: 'one-more', action: 'debug', ...anna });
    expect([answer.status, answer.json().detail]).toEqual([
      409,
      'There are 100 overrides in force already. Remove some first (weir status lists them).',
    ]);
    expect((await post({ kind: 'consumer', target: 'c7', action: 'debug', ...anna })).status).toBe(201);
  });
});
