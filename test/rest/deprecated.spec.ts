import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { RouteRetirement } from '#policies/retirement/retirement.ts';
import { retirementSchema } from '#policies/retirement/settings.ts';
import { problemsOf } from '../config/problems.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { send, type Answer } from '../support/raw-client.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';

const dayMs = 86_400_000;
const inDays = (days: number) => new Date(Date.now() + days * dayMs).toISOString().slice(0, 10);

let upstream: TestUpstream;
let gateway: TestGateway;

beforeAll(async () => {
  upstream = await startUpstream((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/plain', link: '</next>; rel="next"' });
    response.end('ok');
  });
  const route = (path: string, deprecated: object, more: object = {}) => ({ path, upstream: 'a', deprecated, ...more });
  gateway = await startGateway({
    upstreams: { a: { endpoints: [upstream.url] } },
    routes: [
      route('/since', { since: '2026-06-01' }),
      route('/announced', {
        since: '2026-06-01T12:00:00Z',
        sunset: inDays(30),
        successor: '/v2/orders',
        link: 'https://example.com/move',
      }),
      route('/gone', { since: '2026-01-01', sunset: '2026-06-30', successor: '/v2/orders' }),
      route('/brownout', {
        since: '2026-01-01',
        sunset: inDays(30),
        brownouts: [
          { from: '2026-01-01', for: '6d', every: '7d' },
          { from: inDays(-1), for: '2d' },
        ],
      }),
      route('/rehearsal', { since: '2026-01-01', brownouts: [{ from: inDays(-1), for: '2d', status: 410 }] }),
      route('/private', { since: '2026-01-01', sunset: '2026-06-30' }, { auth: 'required' }),
      { path: '/stays', upstream: 'a' },
    ],
    cors: { origins: ['https://shop.example'] },
  });
});

beforeEach(() => void (upstream.requests.length = 0));

afterAll(async () => {
  await gateway.stop();
  await upstream.close();
});

const ask = (path: string, headers: Record<string, string> = {}): Promise<Answer> =>
  send(gateway.url + path, { headers });

describe('After the end of a route', () => {
  test('it is 410 GONE, says what to use instead, and the upstream is not asked', async () => {
    const { status, headers, json } = await ask('/gone');
    expect([status, json()]).toMatchObject([
      410,
      {
        code: 'GONE',
        detail: 'It is gone since 2026-06-30. Use /v2/orders.',
        successor: '/v2/orders',
        sunset: '2026-06-30T00:00:00.000Z',
      },
    ]);
    expect(headers).toMatchObject({
      deprecation: '@1767225600',
      sunset: 'Tue, 30 Jun 2026 00:00:00 GMT',
      link: '</v2/orders>; rel="successor-version"',
    });
    expect(upstream.requests).toEqual([]);
  });

  test('it still asks who comes, since only then it is known who does; scripts can read the refusal', async () => {
    expect((await ask('/private')).status).toBe(401);
    const { headers } = await ask('/gone', { origin: 'https://shop.example' });
    expect(headers['access-control-allow-origin']).toBe('https://shop.example');
  });
});

describe('A brownout', () => {
  test('is 503 BROWNOUT with Retry-After for the time that is announced (RFC 9110 §15.6.4)', async () => {
    const { status, headers, json } = await ask('/brownout');
    expect([status, json().code]).toEqual([503, 'BROWNOUT']);
    expect(json().detail).toMatch(/off until .*On \d{4}-\d\d-\d\d it goes for good\./);
    expect(Number(headers['retry-after'])).toBeGreaterThan(0);
    expect(upstream.requests).toEqual([]);
  });

  test('is 410 where that is rehearsed', async () => {
    const { status, json, headers } = await ask('/rehearsal');
    expect([status, json().code, headers['retry-after'] === undefined]).toEqual([410, 'GONE', false]);
  });

  test('comes again as often as it says, from its first second to the last, and not once it is over', () => {
    const retirement = new RouteRetirement(
      retirementSchema.parse({
        since: '2026-01-01',
        sunset: '2026-03-01',
        brownouts: [
          { from: '2026-02-01T10:00:00Z', for: '10m', every: '1d' },
          { from: '2026-02-10T00:00:00Z', for: '1h', status: 410 },
        ],
      }),
    );
    const at = (instant: string) => retirement.refusalAt(Date.parse(instant))?.code;
    expect(at('2026-01-31T10:05:00Z')).toBeUndefined();
    expect(at('2026-02-01T09:59:59.999Z')).toBeUndefined();
    expect(at('2026-02-01T10:00:00Z')).toBe('BROWNOUT');
    expect(at('2026-02-01T10:09:59.999Z')).toBe('BROWNOUT');
    expect(at('2026-02-01T10:10:00Z')).toBeUndefined();
    expect(at('2026-02-20T10:03:00Z')).toBe('BROWNOUT');
    expect(at('2026-02-10T00:30:00Z')).toBe('GONE');
    expect(at('2026-02-28T23:59:59Z')).toBeUndefined();
    expect(at('2026-03-01T00:00:00Z')).toBe('GONE');
    expect(retirement.refusalAt(Date.parse('2026-02-01T10:08:00Z'))?.retryAfterS).toBe(120);
  });
});

describe('A deprecated route', () => {
  test('says since when in Deprecation (RFC 9745 §2.1), and no more than is known', async () => {
    const { status, text, headers } = await ask('/since');
    expect([status, text, headers.deprecation]).toEqual([200, 'ok', '@1780272000']);
    expect(headers).not.toHaveProperty('sunset');
    expect(headers.link).toBe('</next>; rel="next"');
    expect((await ask('/stays')).headers).not.toHaveProperty('deprecation');
  });

  test('says its end in Sunset (RFC 8594), and where to go in Link (RFC 8288), beside what the upstream links', async () => {
    const { headers } = await ask('/announced');
    expect(headers).toMatchObject({
      deprecation: '@1780315200',
      sunset: new Date(inDays(30)).toUTCString(),
      link: [
        '</v2/orders>; rel="successor-version"',
        '<https://example.com/move>; rel="deprecation"; type="text/html"',
        '<https://example.com/move>; rel="sunset"; type="text/html"',
        '</next>; rel="next"',
      ].join(', '),
    });
  });

  test('is deprecated in /openapi.json too', async () => {
    const { paths } = (await ask('/openapi.json')).json() as unknown as Contract;
    expect(paths['/since']!.get).toMatchObject({ deprecated: true });
    expect(paths['/stays']!.get).not.toHaveProperty('deprecated');
  });

  test('goes at the moment that it says, without a restart', async () => {
    const soon = await startGateway({
      upstreams: { a: { endpoints: [upstream.url] } },
      routes: [{ path: '/a', upstream: 'a', deprecated: { since: '2026-01-01', sunset: inDays(2) } }],
    });
    onTestFinished(() => soon.stop());
    expect((await send(`${soon.url}/a`)).status).toBe(200);
    const then = Date.parse(inDays(2));
    const now = vi.spyOn(Date, 'now').mockImplementation(() => then);
    onTestFinished(() => now.mockRestore());
    expect((await send(`${soon.url}/a`)).status).toBe(410);
  });
});

describe('The configuration of a retirement', () => {
  const of = (deprecated: string) =>
    problemsOf(
      `upstreams: { a: { endpoints: [http://a] } }\nroutes: [{ path: /a, upstream: a, deprecated: { ${deprecated} } }]`,
    );

  test.each([
    ['sunset: 2027-01-01', 'routes[0].deprecated.since', 'is missing'],
    ['since: soon', 'routes[0].deprecated.since', undefined],
    ['since: 2027-02-30T99:00:00Z', 'routes[0].deprecated.since', undefined],
    ['since: 2027-02-01, sunset: 2027-01-01', 'routes[0].deprecated.sunset', 'is before since'],
    ['since: 2027-01-01, successor: "v2 orders"', 'routes[0].deprecated.successor', undefined],
    [
      'since: 2027-01-01, brownouts: [{ from: 2027-01-01, for: 2h, every: 1h }]',
      'routes[0].deprecated.brownouts[0].every',
      'is no longer than `for`, so it would never end',
    ],
    [
      'since: 2027-01-01, brownouts: [{ from: 2027-01-01, for: 2h, status: 500 }]',
      'routes[0].deprecated.brownouts[0].status',
      undefined,
    ],
  ])('%s is told at %s', (written, path, message) => {
    expect(of(written)).toMatchObject([{ path, ...(message !== undefined && { message }) }]);
  });
});

interface Contract {
  readonly paths: Readonly<Record<string, Readonly<Record<string, object>>>>;
}
