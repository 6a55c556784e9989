import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Logger } from '#core/log.ts';
import { RefusalLog } from '#gateway/telemetry/refusal-log.ts';
import { TestClock } from '../support/clock.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { raw, send, until } from '../support/raw-client.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';

describe('Repeated refusals', () => {
  let lines: (Readonly<Record<string, unknown>> & { level: string })[];
  let clock: TestClock;
  let refusals: RefusalLog;
  const from = (clientIp: string) => ({ clientIp });

  beforeEach(() => {
    vi.useFakeTimers();
    lines = [];
    clock = new TestClock();
    const at = (level: string) => (fields: object, msg: string) => void lines.push({ level, msg, ...fields });
    const log: Logger = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
    refusals = new RefusalLog(log, clock);
  });

  afterEach(() => {
    vi.useRealTimers();
  });

  function advance(ms: number): void {
    clock.advance(ms);
    vi.advanceTimersByTime(ms);
  }

  test('have ten lines a second for each code, and are counted beyond', () => {
    const taken = (code: 'OVERLOADED' | 'BAD_REQUEST', count: number) =>
      Array.from({ length: count }, () => refusals.takes(code, from('192.0.2.1'))).filter(Boolean).length;
    expect(taken('OVERLOADED', 1000)).toBe(10);
    expect(taken('BAD_REQUEST', 5)).toBe(5);
    advance(999);
    expect(taken('OVERLOADED', 1000)).toBe(0);
    advance(1);
    expect(taken('OVERLOADED', 1000)).toBe(10);
  });

  test('have one line together within ten seconds: how many, over which time, and some of those they came from', () => {
    for (let index = 0; index < 1010; index++) refusals.takes('OVERLOADED', from(`192.0.2.${index % 200}`));
    advance(9_999);
    expect(lines).toEqual([]);
    advance(1);
    expect(lines).toEqual([
      {
        level: 'warn',
        msg: 'refused',
        code: 'OVERLOADED',
        count: 1000,
        overMs: 10_000,
        clientIps: expect.any(Array) as string[],
      },
    ]);
    const clients = lines[0]!.clientIps as string[];
    expect(new Set(clients).size).toBe(8);
    advance(60_000);
    expect(lines).toHaveLength(1);
  });

  test('are the business of whoever runs the gateway only where its own bounds were met', () => {
    for (const code of ['ROUTE_NOT_FOUND', 'CONNECTIONS_PER_IP', 'CONNECTIONS', 'OVERLOADED'] as const) {
      refusals.count(code, from('192.0.2.1'));
    }
    refusals.flush();
    expect(lines.map(({ level, code }) => [level, code])).toEqual([
      ['info', 'ROUTE_NOT_FOUND'],
      ['warn', 'OVERLOADED'],
      ['warn', 'CONNECTIONS'],
      ['info', 'CONNECTIONS_PER_IP'],
    ]);
  });

  test('are counted anew after each line', () => {
    refusals.count('OVERLOADED', from('192.0.2.1'));
    advance(10_000);
    clock.advance(50_000);
    refusals.count('OVERLOADED', from('192.0.2.2'));
    refusals.count('OVERLOADED', from('192.0.2.2'));
    advance(10_000);
    expect(lines.map(({ count, overMs, clientIps }) => [count, overMs, clientIps])).toEqual([
      [1, 10_000, ['192.0.2.1']],
      [2, 10_000, ['192.0.2.2']],
    ]);
  });

  test('ask for the client of few of them, which may be dear to tell', () => {
    let asked = 0;
    const client = {
      get clientIp() {
        return String(asked++);
      },
    };
    for (let index = 0; index < 100_000; index++) refusals.count('OVERLOADED', client);
    expect(asked).toBeLessThan(20);
  });
});

describe('The log of a gateway that is flooded', () => {
  let service: TestUpstream;
  let gateway: TestGateway;
  const held: (() => void)[] = [];

  beforeAll(async () => {
    service = await startUpstream((_request, response) => void held.push(() => response.end()));
    gateway = await startGateway({
      listen: { maxInFlight: 1 },
      upstreams: { service: { endpoints: [service.url] } },
      routes: [{ path: '/things', upstream: 'service' }],
    });
  });

  afterAll(async () => {
    await gateway.stop();
    await service.close();
  });

  /** What one flood left in the log. */
  async function flood(code: string, one: () => Promise<unknown>) {
    const lines = (msg: string, name: string) => gateway.log.filter((line) => line.msg === msg && line[name] === code);
    const [single, together] = [lines('request', 'error').length, lines('refused', 'code').length];
    const begunMs = performance.now();
    for (let index = 0; index < 60; index++) await one();
    const seconds = Math.floor((performance.now() - begunMs) / 1_000) + 2;
    const counted = () =>
      lines('refused', 'code')
        .slice(together)
        .reduce((sum, { count }) => sum + Number(count), 0);
    await until(() => {
      gateway.gateway.telemetry.refusals.flush();
      return lines('request', 'error').length - single + counted() >= 60;
    });
    return { single: lines('request', 'error').slice(single), counted: counted(), most: 10 * seconds };
  }

  test.each([
    ['that is wrong', 'ROUTE_NOT_FOUND', () => send(`${gateway.url}/nowhere`)],
    [
      'that the guard refuses',
      'BAD_REQUEST',
      () => raw(gateway.url, 'GET /a/../b HTTP/1.1', 'Host: x', 'Connection: close'),
    ],
    ['that cannot be read', 'BAD_REQUEST', () => raw(gateway.url, 'GET / HTTP/1.1', 'Host: x', 'Bad Name: x')],
  ])('has few lines of requests %s, and counts all others', async (_, code, one) => {
    const { single, counted, most } = await flood(code, one);
    expect(single.length).toBeLessThanOrEqual(most);
    expect(single.length + counted).toBe(60);
    for (const line of single) expect(line).toMatchObject({ clientIp: '127.0.0.1', error: code });
  });

  test('has few lines of requests that are too many, and counts all others', async () => {
    const holding = send(`${gateway.url}/things`);
    await until(() => held.length === 1);
    const { single, counted, most } = await flood('OVERLOADED', () => send(`${gateway.url}/things?token=secret`));
    expect(single.length).toBeLessThanOrEqual(most);
    expect(single.length + counted).toBe(60);
    for (const line of single)
      expect(line).toMatchObject({
        level: 'info',
        msg: 'request',
        method: 'GET',
        path: '/things',
        status: 503,
        clientIp: '127.0.0.1',
        error: 'OVERLOADED',
      });
    expect(JSON.stringify(single)).not.toContain('secret');
    held.splice(0)[0]!();
    await holding;
  });

  test('goes on with a line for each request that is served, however many are refused', async () => {
    for (let index = 0; index < 30; index++) await send(`${gateway.url}/nowhere`);
    for (let index = 0; index < 30; index++) {
      const answer = await send(`${gateway.url}/docs/errors`);
      const line = await gateway.accessOf(String(answer.headers['x-request-id']));
      expect(line.status).toBe(200);
    }
  });

  test('has what was counted last before it ends', async () => {
    const ending = await startGateway({ upstreams: {}, routes: [] });
    for (let index = 0; index < 60; index++) await send(`${ending.url}/nowhere`);
    await ending.stop();
    const count = (msg: string) => ending.log.filter((line) => line.msg === msg);
    const counted = count('refused').reduce((sum, line) => sum + Number(line.count), 0);
    expect(count('request').length + counted).toBe(60);
    expect(counted).toBeGreaterThan(0);
  });
});
