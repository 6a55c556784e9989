import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { errorCodes, errorRow } from '#core/errors.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { raw, RawClient, send, until, type Answer } from '../support/raw-client.ts';
import { deadUrl, startUpstream, type TestUpstream } from '../support/upstream.ts';

/** RFC 9209 §2.3. */
const errorTypes: ReadonlySet<string> = new Set([
  'dns_timeout',
  'dns_error',
  'destination_not_found',
  'destination_unavailable',
  'destination_ip_prohibited',
  'destination_ip_unroutable',
  'connection_refused',
  'connection_terminated',
  'connection_timeout',
  'connection_read_timeout',
  'connection_write_timeout',
  'connection_limit_reached',
  'tls_protocol_error',
  'tls_certificate_error',
  'tls_alert_received',
  'http_request_error',
  'http_request_denied',
  'http_response_incomplete',
  'http_response_header_section_size',
  'http_response_header_size',
  'http_response_body_size',
  'http_response_trailer_section_size',
  'http_response_trailer_size',
  'http_response_transfer_coding',
  'http_response_content_coding',
  'http_response_timeout',
  'http_upgrade_failed',
  'http_protocol_error',
  'proxy_internal_response',
  'proxy_internal_error',
  'proxy_configuration_error',
  'proxy_loop_detected',
]);

/** Clients see all codes but the one that says that they have gone. */
const codes = errorCodes.filter((code) => code !== 'CLIENT_CLOSED_REQUEST');

const handshake = [
  'Host: x',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
];

let service: TestUpstream;
let gateway: TestGateway;

beforeAll(async () => {
  service = await startUpstream((_request, response) => response.end('ok'));
  gateway = await startGateway(
    {
      listen: { headersTimeout: '1s', maxHeaderBytes: '2KiB', maxBodyBytes: '1KiB' },
      upstreams: {
        service: { endpoints: [service.url] },
        dead: { endpoints: [await deadUrl()], retry: { attempts: 0 }, breaker: { failures: 1 } },
      },
      routes: [
        { path: '/things', upstream: 'service', methods: ['GET', 'POST'] },
        { path: '/dead', upstream: 'dead' },
      ],
    },
    { modules: 'test/fixtures/refusing' },
  );
});

afterAll(async () => {
  await gateway.stop();
  await service.close();
});

function expected(code: (typeof codes)[number]): string {
  return `weir; error=${errorRow(code).proxyStatus}`;
}

/** RFC 9110 §10.2.3: what passes by itself says when it may have passed. */
function expectRetryAfter(status: number, value: string | undefined): void {
  if (status === 503) expect(Number(value)).toBeGreaterThan(0);
}

/** The head of a message as it went over the wire. */
function headOf(message: string): Pick<Answer, 'status' | 'headers'> {
  const [line = '', ...fields] = message.split('\r\n\r\n', 1)[0]!.split('\r\n');
  const headers = fields.map((field) => [
    field.split(':', 1)[0]!.toLowerCase(),
    field.slice(field.indexOf(':') + 1).trim(),
  ]);
  return { status: Number(line.split(' ')[1]), headers: Object.fromEntries(headers) as Answer['headers'] };
}

describe('Every code that a client can see', () => {
  test.each(codes)('has an error type of RFC 9209: %s', (code) => {
    expect(errorTypes).toContain(errorRow(code).proxyStatus);
  });

  test.each(codes)('is told apart from what an upstream says, in REST: %s', async (code) => {
    const { status, headers, ...answer } = await send(`${gateway.url}/things`, { headers: { 'x-refuse': code } });
    expect([status, headers['proxy-status']]).toEqual([errorRow(code).status, expected(code)]);
    expectRetryAfter(status, headers['retry-after']);
    expect(answer.json()).toMatchObject({ code, status, requestId: headers['x-request-id'] });
  });

  test.each(codes)('is told apart in GraphQL: %s', async (code) => {
    const { status, headers, ...answer } = await send(`${gateway.url}/graphql`, {
      method: 'POST',
      headers: { 'x-refuse': code, 'content-type': 'application/json' },
      body: '{"query":"{ prompt }"}',
    });
    expect([status, headers['proxy-status']]).toEqual([errorRow(code).status, expected(code)]);
    expectRetryAfter(status, headers['retry-after']);
    expect(answer.json()).toMatchObject({ errors: [{ extensions: { code, requestId: headers['x-request-id'] } }] });
  });

  test.each(codes)('is told apart where an upgrade is refused: %s', async (code) => {
    const client = await RawClient.connect(gateway.url);
    client.head('GET /things HTTP/1.1', ...handshake, `X-Refuse: ${code}`);
    const { status, headers } = headOf(await client.end());
    expect([status, headers['proxy-status']]).toEqual([errorRow(code).status, expected(code)]);
    expectRetryAfter(status, headers['retry-after']);
  });
});

describe('An operation that GraphQL itself refuses', () => {
  const json = { 'content-type': 'application/json', accept: 'application/graphql-response+json' };

  test.each([
    ['GRAPHQL_PARSE_FAILED', { query: '{' }],
    ['GRAPHQL_VALIDATION_FAILED', { query: '{ nothing }' }],
    ['BAD_USER_INPUT', { query: 'query A { prompt } query B { prompt }' }],
    ['DOCUMENT_LIMIT_EXCEEDED', { query: `{ ${Array.from({ length: 40 }, (_, n) => `a${n}: prompt`).join(' ')} }` }],
    ['BAD_REQUEST', { query: 1 }],
    ['BAD_REQUEST', []],
  ] as const)('says so like any other: %s', async (code, parameters) => {
    const answer = await send(`${gateway.url}/graphql`, {
      method: 'POST',
      headers: json,
      body: JSON.stringify(parameters),
    });
    expect(answer.json()).toMatchObject({ errors: [{ extensions: { code } }] });
    expect([answer.status, answer.headers['proxy-status']]).toEqual([errorRow(code).status, expected(code)]);
  });

  test.each([
    ['METHOD_NOT_ALLOWED', 'GET', '?query=mutation{touch}', {}],
    ['NOT_ACCEPTABLE', 'GET', '?query={prompt}', { accept: 'image/png' }],
    ['UNSUPPORTED_MEDIA_TYPE', 'POST', '', { 'content-type': 'text/plain' }],
    ['BODY_TOO_LARGE', 'POST', '', { 'content-type': 'application/json', 'content-length': '5000' }],
  ] as const)('says so like any other: %s of the request', async (code, method, query, headers) => {
    const answer = await send(`${gateway.url}/graphql${query}`, { method, headers });
    expect([answer.status, answer.headers['proxy-status']]).toEqual([errorRow(code).status, expected(code)]);
  });

  test('says nothing of it where the answer is 200, since the request was served', async () => {
    const answer = await send(`${gateway.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: '{"query":"{"}',
    });
    expect(answer).toMatchObject({ status: 200 });
    expect(answer.headers['proxy-status']).toBeUndefined();
  });
});

describe('A request that is refused before it is one', () => {
  test.each([
    ['BAD_REQUEST', ['GET / HTTP/1.1', 'Host: x', 'Bad Name: x']],
    ['BAD_REQUEST', ['GET /a/../b HTTP/1.1', 'Host: x']],
    ['HEADERS_TOO_LARGE', ['GET / HTTP/1.1', 'Host: x', `X-Long: ${'x'.repeat(5_000)}`]],
    ['ROUTE_NOT_FOUND', ['GET /nowhere HTTP/1.1', 'Host: x', 'Connection: close']],
    ['METHOD_NOT_ALLOWED', ['DELETE /things HTTP/1.1', 'Host: x', 'Connection: close']],
    ['EXPECTATION_FAILED', ['POST /things HTTP/1.1', 'Host: x', 'Expect: a-miracle', 'Content-Length: 1']],
  ] as const)('has it too: %s', async (code, lines) => {
    const { status, headers } = headOf(await raw(gateway.url, ...lines));
    expect([status, headers['proxy-status']]).toEqual([errorRow(code).status, expected(code)]);
  });

  test('has it too: a head that does not come in time', async () => {
    const client = await RawClient.connect(gateway.url);
    client.write('GET /things HTTP/1.1\r\n');
    const { status, headers } = headOf(await client.end());
    expect([status, headers['proxy-status']]).toEqual([408, expected('REQUEST_TIMEOUT')]);
  });
});

describe('What an upstream did not do', () => {
  test('has the error type of what happened, and of the breaker that it opened', async () => {
    const first = await send(`${gateway.url}/dead`);
    expect([first.status, first.headers['proxy-status']]).toEqual([502, expected('UPSTREAM_UNREACHABLE')]);
    let next = first;
    await until(async () => (next = await send(`${gateway.url}/dead`)).status === 503);
    expect(next.headers['proxy-status']).toBe(expected('UPSTREAM_UNAVAILABLE'));
    expectRetryAfter(503, next.headers['retry-after']);
  });

  test('is not claimed of what an upstream did say', async () => {
    expect((await send(`${gateway.url}/things`)).headers['proxy-status']).toBeUndefined();
  });
});

describe('A handshake that is none', () => {
  test.each([
    ['a route that is no WebSocket', '/docs/errors', handshake],
    ['a GraphQL path, without a key', '/graphql', handshake.filter((line) => !line.includes('Key'))],
    ['a GraphQL path, with a protocol that has no name', '/graphql', [...handshake, 'Sec-WebSocket-Protocol: a b']],
    [
      'a GraphQL path, with one behind a space of another kind',
      '/graphql',
      [...handshake, 'Sec-WebSocket-Protocol: a\xa0, b'],
    ],
    ['a GraphQL path, in a version of long ago', '/graphql', handshake.map((line) => line.replace('13', '7'))],
  ])('is refused with it: of %s', async (_, path, lines) => {
    const client = await RawClient.connect(gateway.url);
    client.head(`GET ${path} HTTP/1.1`, ...lines);
    const { status, headers } = headOf(await client.end());
    expect(status).toBeGreaterThanOrEqual(400);
    expect(headers['proxy-status']).toMatch(/^weir; error=http_request_(denied|error)$/);
    expect(headers['x-request-id']).toBeDefined();
  });

  test.each(['/docs/errors/NO_SUCH_CODE', '/docs/viewer/none.js'])(
    'is refused with it: a page that there is not, %s',
    async (path) => {
      const answer = await send(gateway.url + path);
      expect([answer.status, answer.headers['proxy-status']]).toEqual([404, 'weir; error=destination_not_found']);
    },
  );

  test('by HTTP/1.0, which has no upgrades, is a request like others (RFC 9110 §7.8)', async () => {
    for (const path of ['/graphql', '/things']) {
      const client = await RawClient.connect(gateway.url);
      client.head(`GET ${path} HTTP/1.0`, ...handshake);
      expect(headOf(await client.end()).status).not.toBe(101);
    }
  });
});
