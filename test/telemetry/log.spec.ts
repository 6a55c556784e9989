import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterEach, describe, expect, it } from 'vitest';
import { anonymous } from '#core/identity.ts';
import { open } from '#policies/auth/requirement.ts';
import { WeirError } from '#core/errors.ts';
import { telemetrySchema } from '#gateway/telemetry/settings.ts';
import { createTelemetry, type Telemetry } from '#gateway/telemetry/telemetry.ts';
import { OtlpReceiver } from './otlp-receiver.ts';
import { endedRequest, Lines } from './request.ts';

let telemetry: Telemetry;
let receiver: OtlpReceiver | undefined;
let lines: Lines;

function start(settings: object = {}): Telemetry {
  lines = new Lines();
  telemetry = createTelemetry(telemetrySchema.parse(settings), { destination: lines });
  return telemetry;
}

function access(
  facts: NonNullable<Parameters<typeof endedRequest>[1]> = {},
  change?: (context: ReturnType<typeof endedRequest>) => void,
) {
  const method = facts.method ?? 'GET';
  const span = telemetry.startServerSpan({ method, headers: {}, trustedPeer: false, name: method });
  const context = endedRequest(span, facts, { status: 200, bytes: 1234 });
  change?.(context);
  telemetry.settled(context, 12.34567);
  return { context, line: lines.all.at(-1)! };
}

afterEach(async () => {
  await telemetry.shutdown();
  await receiver?.close();
  receiver = undefined;
});

describe('the log', () => {
  it('is one line of JSON a record, with level, time, service and message', () => {
    start({ serviceName: 'shop' }).log.warn({ upstream: 'orders' }, 'breaker opened');
    expect(lines.all).toEqual([
      {
        level: 'warn',
        time: expect.any(String) as string,
        service: 'shop',
        pid: process.pid,
        upstream: 'orders',
        msg: 'breaker opened',
      },
    ]);
    expect(lines.all[0]!.time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    expect(lines.raw[0]).toMatch(/^[^\n]+\n$/);
  });

  it.each([
    ['debug', ['debug', 'info', 'warn', 'error']],
    ['info', ['info', 'warn', 'error']],
    ['warn', ['warn', 'error']],
    ['error', ['error']],
    ['silent', []],
  ])('at level %s holds %j', (level, expected) => {
    const { log } = start({ log: level });
    for (const each of ['debug', 'info', 'warn', 'error'] as const) log[each]({}, 'x');
    expect(lines.all.map((line) => line.level)).toEqual(expected);
  });

  it('hides secrets at any depth, however their names are spelt', () => {
    const secret = 's3cr3t';
    start().log.info(
      {
        authorization: secret,
        headers: {
          Cookie: secret,
          'Set-Cookie': [secret],
          'proxy-authorization': secret,
          'X-Api-Key': secret,
          accept: '*/*',
        },
        redis: { url: 'redis://h:6379', password: secret },
        list: [{ client_secret: secret, clientSecret: secret, access_token: secret, refreshToken: secret }],
        issuer: new URL('https://user:s3cr3t@id.example.com/path?token=s3cr3t'),
      },
      'x',
    );
    expect(lines.raw[0]).not.toContain(secret);
    expect(lines.all[0]).toMatchObject({
      authorization: '[redacted]',
      headers: { Cookie: '[redacted]', accept: '*/*' },
      redis: { url: 'redis://h:6379', password: '[redacted]' },
      issuer: 'https://id.example.com/path',
    });
  });

  it('spells errors out with their causes, under any name', () => {
    const cause = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
    const error = new WeirError('UPSTREAM_UNREACHABLE', { upstream: 'orders', cause });
    start().log.error({ err: error, other: { reason: error } }, 'call failed');
    const expected = {
      type: 'WeirError',
      code: 'UPSTREAM_UNREACHABLE',
      stack: expect.stringContaining('WeirError') as string,
      cause: { type: 'Error', code: 'ECONNREFUSED', message: 'connect ECONNREFUSED' },
    };
    expect(lines.all[0]).toMatchObject({ err: expected, other: { reason: expected } });
  });

  it('is bounded in depth and length, and holds no bytes', () => {
    const ring: Record<string, unknown> = { text: 'x'.repeat(100_000), body: Buffer.from('a body'), big: 10n };
    ring.self = ring;
    start().log.info(ring, 'x');
    expect(lines.raw[0]!.length).toBeLessThan(100_000);
    expect(lines.raw[0]).not.toContain('a body');
    expect(lines.all[0]).toMatchObject({ body: '[6 bytes]', big: '10' });
  });

  it('on stdout is complete when the process ends by itself', async () => {
    start();
    const script = `
      import { createTelemetry } from '${new URL('../../gateway/telemetry/telemetry.ts', import.meta.url).href}';
      import { telemetrySchema } from '${new URL('../../gateway/telemetry/settings.ts', import.meta.url).href}';
      const telemetry = createTelemetry(telemetrySchema.parse({}));
      for (let i = 0; i < 1000; i++) telemetry.log.info({ i }, 'line');
      await telemetry.shutdown();
    `;
    const { stdout, stderr } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script]);
    expect(stderr).toBe('');
    const written = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { i: number });
    expect(written.map(({ i }) => i)).toEqual(Array.from({ length: 1000 }, (_, i) => i));
  });
});

describe('the access log', () => {
  it('has one line a request with what it was, what it cost and where it went', () => {
    start();
    const { context, line } = access({ method: 'POST', target: '/graphql?a=1', id: 'request-7' }, (request) => {
      request.route = {
        name: 'graphql',
        door: 'graphql',
        path: '/graphql',
        maxBodyBytes: 1,
        bufferBytes: 1,
        requirement: open,
      };
      request.calls.send('orders', 1000);
      request.calls.send('orders', 1000);
      request.calls.send('users', 1000);
      request.calls.collapsed = 4;
      request.operation = { name: 'Checkout', type: 'mutation', hash: 'abc' };
      request.identity = { ...anonymous, consumer: 'acme', tier: 'pro' };
      request.requestBytes = 56;
      request.errorCode = 'UPSTREAM_TIMEOUT';
      request.degraded = [{ path: ['reviews'], code: 'UPSTREAM_TIMEOUT', upstream: 'reviews' }];
    });
    expect(lines.raw).toHaveLength(1);
    expect(line).toEqual({
      level: 'info',
      time: expect.any(String) as string,
      service: 'weir',
      pid: process.pid,
      requestId: 'request-7',
      traceId: context.span.traceId,
      spanId: context.span.spanId,
      method: 'POST',
      route: 'graphql',
      path: '/graphql',
      status: 200,
      durationMs: 12.346,
      requestBytes: 56,
      responseBytes: 1234,
      clientIp: '192.0.2.7',
      consumer: 'acme',
      calls: 3,
      upstreams: { orders: 2, users: 1 },
      collapsed: 4,
      operation: { name: 'Checkout', type: 'mutation', hash: 'abc' },
      error: 'UPSTREAM_TIMEOUT',
      degraded: 1,
      msg: 'request',
    });
  });

  it('leaves out what a request does not have', () => {
    start();
    const { line } = access({ target: '/' });
    for (const key of [
      'consumer',
      'upstreams',
      'collapsed',
      'operation',
      'error',
      'degraded',
      'query',
      'route',
      'sampled',
    ]) {
      expect(line).not.toHaveProperty(key);
    }
    expect(line.calls).toBe(0);
  });

  it('says that a client went away', () => {
    start();
    const { line } = access({}, (request) => request.cancellation.cancel(new WeirError('CLIENT_CLOSED_REQUEST')));
    expect(line.error).toBe('CLIENT_CLOSED_REQUEST');
  });

  it.each([
    ['first=10&after=abc', 'first=10&after=abc'],
    ['token=s3cr3t', 'token=[redacted]'],
    ['a=1&access_token=s3cr3t&b=2', 'a=1&access_token=[redacted]&b=2'],
    ['API_KEY=s3cr3t&ApiKey=s3cr3t&key=s3cr3t', 'API_KEY=[redacted]&ApiKey=[redacted]&key=[redacted]'],
    ['password=s3cr3t&secret=s3cr3t&code=s3cr3t', 'password=[redacted]&secret=[redacted]&code=[redacted]'],
    ['signature=s3cr3t&sig=s3cr3t', 'signature=[redacted]&sig=[redacted]'],
    ['%74oken=s3cr3t', '%74oken=[redacted]'],
    ['%54%4F%4B%45%4E=s3cr3t&x=%41', '%54%4F%4B%45%4E=[redacted]&x=%41'],
    ['%zz=s3cr3t', '%zz=[redacted]'],
    ['token=s3cr3t=s3cr3t', 'token=[redacted]'],
    ['token=', 'token=[redacted]'],
    ['token&tokens=1&=2&&', 'token&tokens=1&=2&&'],
    ['variables=%7B%22password%22%3A%22s3cr3t%22%7D', 'variables=[redacted]'],
  ])('shows the query %s as %s', (query, expected) => {
    start();
    const { line } = access({ target: `/v1/orders?${query}` });
    expect(line.query).toBe(expected);
    expect(lines.raw.join('')).not.toContain('s3cr3t');
  });

  it('shows no query of an operation, which would be its document', () => {
    start();
    const { line } = access({ target: '/graphql?query=%7Busers%28ssn%3A%22123%22%29%7Bid%7D%7D' }, (request) => {
      request.operation = { name: undefined, type: 'query', hash: 'abc' };
    });
    expect(line).not.toHaveProperty('query');
    expect(line.operation).toEqual({ type: 'query', hash: 'abc' });
  });

  it('cannot be broken or bloated by what a client sends', () => {
    start();
    const forged = '"}\n{"level":"error","msg":"forged"}\r\n\u2028\u0000\ud800';
    access({ target: `/${forged}${'a'.repeat(20_000)}?q=${forged}${'b'.repeat(20_000)}`, id: forged }, (request) => {
      request.operation = undefined;
    });
    access({ target: '/' }, (request) => {
      request.operation = { name: `N${'c'.repeat(20_000)}`, type: 'query', hash: 'abc' };
    });
    expect(lines.raw).toHaveLength(2);
    for (const raw of lines.raw) {
      expect(raw.indexOf('\n')).toBe(raw.length - 1);
      expect(raw.length).toBeLessThan(4000);
    }
    expect(lines.all[0]).toMatchObject({ msg: 'request', level: 'info' });
    expect(String(lines.all[0]!.path).length).toBeLessThanOrEqual(1025);
  });

  it('is silent above level info', () => {
    start({ log: 'warn' });
    const span = telemetry.startServerSpan({ method: 'GET', headers: {}, trustedPeer: false, name: 'GET' });
    telemetry.settled(endedRequest(span), 1);
    expect(lines.raw).toEqual([]);
  });
});

describe('the log over OTLP', () => {
  it('has access lines and warnings with their trace, and no secrets', async () => {
    receiver = await OtlpReceiver.listen();
    start({ otlp: receiver.url, sampleRatio: 1 });
    const { context } = access({ target: '/v1/orders?token=s3cr3t' }, (request) => request.calls.send('orders', 1000));
    telemetry.log.warn({ upstream: 'orders', authorization: 's3cr3t', cause: new Error('boom') }, 'breaker opened');
    telemetry.log.debug({}, 'not at this level');
    await telemetry.shutdown();
    const [accessRecord, warning] = receiver.logs;
    expect(receiver.logs).toHaveLength(2);
    expect(accessRecord).toMatchObject({
      severityNumber: 9,
      severityText: 'info',
      body: { string: 'request' },
      traceId: context.span.traceId,
      spanId: context.span.spanId,
      attributes: {
        path: '/v1/orders',
        query: 'token=[redacted]',
        status: 200,
        upstreams: { orders: 1 },
        sampled: true,
      },
      resource: { 'service.name': 'weir' },
    });
    expect(warning).toMatchObject({
      severityNumber: 13,
      body: { string: 'breaker opened' },
      attributes: { upstream: 'orders', authorization: '[redacted]', cause: { message: 'boom' } },
    });
    // The trace in the log is the one that was exported.
    expect(receiver.spans.map((span) => [span.traceId, span.spanId])).toEqual([
      [accessRecord!.traceId, accessRecord!.spanId],
    ]);
    expect(lines.all[0]).toMatchObject({ traceId: context.span.traceId, sampled: true });
  });
});
