import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startGateway, untilIdle, type TestGateway } from '../support/gateway.ts';
import { send, settle, until } from '../support/raw-client.ts';
import { deadUrl, startUpstream, type Handler, type TestUpstream } from '../support/upstream.ts';

const well: Handler = (_request, response) => {
  response.writeHead(200, {
    'set-cookie': 'session=s3cret',
    'x-plain': 'shown',
    location: '/next?token=s3cret&page=2',
  });
  response.end('ok');
};
let behave: Handler = well;
let service: TestUpstream;
let gateway: TestGateway;

beforeEach(async () => {
  behave = well;
  service = await startUpstream((...call) => behave(...call));
  gateway = await startGateway({
    upstreams: {
      things: { endpoints: [service.url], retry: { attempts: 1, backoff: '1ms' }, breaker: { failures: 3 } },
      static: {
        endpoints: [service.url],
        identity: { static: { 'x-house': 's3cret-of-the-house' } },
      },
      dead: { endpoints: [await deadUrl()], retry: { attempts: 2, backoff: '1ms', budget: 0 } },
    },
    auth: { apiKeys: { header: 'x-partner' } },
    routes: [
      { name: 'things', path: '/things/*path', upstream: 'things' },
      { name: 'others', path: '/others/*path', upstream: 'things' },
      { name: 'static', path: '/static/*path', upstream: 'static' },
      { name: 'dead', path: '/dead/*path', upstream: 'dead' },
    ],
  });
});

afterEach(async () => {
  await untilIdle(gateway);
  await gateway.stop();
  await service.close();
});

async function debug(kind: string, target: string, forText = '5m'): Promise<void> {
  const body = JSON.stringify({ kind, target, action: 'debug', for: forText, by: 'anna' });
  const headers = { 'content-type': 'application/json' };
  const answer = await send(`${gateway.adminUrl}/admin/overrides`, { method: 'POST', body, headers });
  expect(answer.status).toBe(201);
}

const lines = () => gateway.log.filter(({ level }) => level === 'debug');
const messages = () => lines().map(({ msg }) => String(msg));
const line = (message: string) => lines().find(({ msg }) => msg === message);

/** Asks, and waits until the request is over for the gateway too. */
async function ask(path: string, headers: Record<string, string> = {}): Promise<void> {
  const { headers: got } = await send(gateway.url + path, { headers });
  await gateway.accessOf(String(got['x-request-id']));
}

describe('Debug logging', () => {
  test('of a route shows a request, its call, its attempt, the verdict, and the answer, in this order', async () => {
    await debug('route', 'things');
    await ask('/things/a?page=2', { 'x-request-id': 'seen' });
    expect(messages()).toEqual([
      'debug request',
      'attempt',
      'attempt answered',
      'attempt ended',
      'breaker',
      'upstream call',
      'debug answer',
    ]);
    expect(
      lines().every(({ requestId, traceId }) => requestId === 'seen' && /^[\da-f]{32}$/.test(String(traceId))),
    ).toBe(true);
    expect(line('debug request')).toMatchObject({
      route: 'things',
      door: 'rest',
      method: 'GET',
      path: '/things/a?page=2',
    });
    expect(line('attempt')).toMatchObject({ upstream: 'things', endpoint: service.url, method: 'GET' });
    expect(line('attempt answered')).toMatchObject({ status: 200, ms: expect.any(Number) as number });
    expect(line('breaker')).toMatchObject({ upstream: 'things', verdict: 'success', state: 'closed' });
    expect(line('upstream call')).toMatchObject({ status: 200, path: '/things/a?page=2' });
    expect(line('debug answer')).toMatchObject({
      route: 'things',
      status: 200,
      calls: 1,
      headers: { 'x-request-id': 'seen', 'x-plain': 'shown', 'set-cookie': '[redacted]' },
    });
  });

  test('shows nothing of other routes, and nothing at all when nothing is asked for', async () => {
    await ask('/things/a');
    await debug('route', 'things');
    await ask('/others/a');
    expect(lines()).toEqual([]);
  });

  test('of a trace follows it, whatever the route; a whole traceparent names it too', async () => {
    const traceId = '0af7651916cd43dd8448eb211c80319c';
    await debug('trace', `00-${traceId.toUpperCase()}-b7ad6b7169203331-01`);
    await ask('/others/a', { traceparent: `00-${traceId}-b7ad6b7169203331-00` });
    await ask('/others/b', { traceparent: '00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00' });
    expect(new Set(lines().map((entry) => entry.traceId))).toEqual(new Set([traceId]));
    expect(messages()).toContain('attempt');
  });

  test('of a consumer shows its requests', async () => {
    await debug('consumer', 'anonymous');
    await ask('/others/a');
    expect(line('debug request')).toMatchObject({ consumer: 'anonymous' });
  });

  test('shows a request that no stage let through, at its end', async () => {
    await debug('consumer', 'anonymous');
    await ask('/nowhere?token=s3cret');
    expect(messages()).toEqual(['debug answer']);
    expect(line('debug answer')).toMatchObject({
      status: 404,
      error: 'ROUTE_NOT_FOUND',
      path: '/nowhere?token=[redacted]',
    });
  });

  test('shows a request that hangs, before it ends', async () => {
    const held: (() => void)[] = [];
    behave = (_request, response) => void held.push(() => response.end());
    await debug('route', 'things');
    const hanging = send(`${gateway.url}/things/a`);
    await until(() => held.length === 1);
    expect(messages()).toEqual(['debug request', 'attempt']);
    held[0]!();
    await hanging;
  });

  test('says why an attempt is followed by another, and why it is not', async () => {
    let times = 0;
    behave = (_request, response) => void response.writeHead(times++ === 0 ? 503 : 200).end();
    await debug('route', 'things');
    await debug('route', 'dead');
    await ask('/things/a');
    expect(line('retry')).toMatchObject({ upstream: 'things', after: 503, waitMs: expect.any(Number) as number });
    expect(messages().filter((message) => message.startsWith('attempt'))).toEqual([
      'attempt',
      'attempt answered',
      'attempt given up',
      'attempt',
      'attempt answered',
      'attempt ended',
    ]);
    await ask('/dead/a');
    expect(line('no retry')).toMatchObject({
      upstream: 'dead',
      after: 'UPSTREAM_UNREACHABLE',
      why: 'the retry budget is spent',
    });
    expect(line('attempt failed')).toMatchObject({ error: 'UPSTREAM_UNREACHABLE', cause: 'ECONNREFUSED' });
  });

  test('says that a breaker refused, and who holds it open', async () => {
    await debug('route', 'things');
    gateway.gateway.assembly.upstreams.get('things')!.breaker.force('open');
    await ask('/things/a');
    expect(line('breaker')).toMatchObject({ verdict: 'refused', state: 'open', forced: 'open' });
    expect(line('upstream call')).toMatchObject({ error: 'UPSTREAM_UNAVAILABLE' });
  });

  test('says that a read rode on a call under way, and on whose', async () => {
    const held: (() => void)[] = [];
    behave = (_request, response) => void held.push(() => response.end('ok'));
    const leader = send(`${gateway.url}/things/a`, { headers: { 'x-request-id': 'leader' } });
    await until(() => held.length === 1);
    await debug('route', 'things');
    const follower = send(`${gateway.url}/things/a`, { headers: { 'x-request-id': 'follower' } });
    await until(() => line('joined a call under way') !== undefined);
    expect(line('joined a call under way')).toMatchObject({ requestId: 'follower', call: 'leader' });
    held[0]!();
    await Promise.all([leader, follower]);
  });

  test('ends by itself', async () => {
    await debug('route', 'things', '1s');
    await until(() => !gateway.gateway.telemetry.debug.on);
    await ask('/things/a');
    expect(lines()).toEqual([]);
  });

  test('goes on over a reload', async () => {
    await debug('route', 'things');
    await gateway.gateway.control.reload();
    await ask('/things/a');
    expect(messages()).toContain('debug request');
  });

  test('needs no restart and no level: lines come though telemetry.log is error', async () => {
    await gateway.stop();
    gateway = await startGateway({
      upstreams: { things: { endpoints: [service.url] } },
      routes: [{ name: 'things', path: '/things/*path', upstream: 'things' }],
      telemetry: { log: 'error' },
    });
    await debug('route', 'things');
    await send(`${gateway.url}/things/a`);
    await until(() => line('debug answer') !== undefined);
    expect(gateway.log.some(({ level }) => level === 'info')).toBe(false);
  });

  test('hides credentials by name and by look, in requests, attempts and answers, and shows no body', async () => {
    await debug('consumer', 'anonymous');
    const secrets = {
      authorization: 'Bearer s3cret',
      cookie: 'sid=s3cret',
      'x-auth-token': 's3cret',
      'x-goog-api-key': 's3cret',
      'x-amz-security-token': 's3cret',
      'x-custom': 'Basic s3cret',
      'x-other': 'eyJhbGciOiJIUzI1NiJ9.s3cret.s3cret',
      referer: 'https://u:s3cret@example.com/a?access_token=s3cret&b=1#id_token=s3cret',
      'x-shown': 'plain',
    };
    await send(`${gateway.url}/others/a?api_key=s3cret&page=2`, {
      method: 'POST',
      headers: secrets,
      body: 's3cret body',
    });
    await ask('/static/a?sig=s3cret');
    const text = JSON.stringify(lines());
    expect(text).not.toContain('s3cret');
    expect(line('debug request')).toMatchObject({
      path: '/others/a?api_key=[redacted]&page=2',
      headers: {
        authorization: '[redacted]',
        cookie: '[redacted]',
        'x-shown': 'plain',
        referer: 'https://[redacted]@example.com/a?access_token=[redacted]&b=1#id_token=[redacted]',
      },
    });
    expect(line('attempt')).toMatchObject({ headers: { 'x-shown': 'plain', 'x-weir-consumer': 'anonymous' } });
    expect(line('attempt answered')).toMatchObject({
      headers: { 'set-cookie': '[redacted]', 'x-plain': 'shown', location: '/next?token=[redacted]&page=2' },
    });
    expect(
      lines().some(
        ({ upstream, headers }) =>
          upstream === 'static' && (headers as Record<string, string>)['x-house'] === '[redacted]',
      ),
    ).toBe(true);
  });

  test('hides the header that the configuration makes the carrier of API keys', async () => {
    await debug('consumer', 'anonymous');
    await send(`${gateway.url}/others/a`, { headers: { 'x-partner': 's3cret' } });
    await until(() => line('debug answer') !== undefined);
    expect(JSON.stringify(lines())).not.toContain('s3cret');
  });

  test('writes a hundred lines a second at most, and then how many it left out', async () => {
    await debug('route', 'things');
    await Promise.all(Array.from({ length: 60 }, (_, index) => send(`${gateway.url}/things/${index}`)));
    await until(() => line('debug lines left out') !== undefined);
    const written = lines().filter(({ msg }) => msg !== 'debug lines left out').length;
    const left = lines()
      .filter(({ msg }) => msg === 'debug lines left out')
      .reduce((sum, { count }) => sum + Number(count), 0);
    await settle();
    expect(written).toBeLessThan(60 * 7);
    expect(written + left).toBe(60 * 7);
  });
});
