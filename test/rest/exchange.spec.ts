import { randomBytes } from 'node:crypto';
import { Agent } from 'node:http';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startGateway, untilIdle, type TestGateway } from '../support/gateway.ts';
import { RawClient, send, until } from '../support/raw-client.ts';
import { sha256, startScript, startUpstream, type RawUpstream, type TestUpstream } from '../support/upstream.ts';

const small = randomBytes(10_000);
const large = randomBytes(3_000_000);

/** The two forms of the exchange, and what makes the gateway choose them. */
const forms = [
  { form: 'buffered (undici)', body: small, chunked: false },
  { form: 'streamed (http-proxy-middleware) for its size', body: large, chunked: false },
  { form: 'streamed for its unknown length', body: small, chunked: true },
];

const mirror = (response: { end(text: string): unknown }, request: object) =>
  void response.end(JSON.stringify(request));

let upstream: TestUpstream;
let gateway: TestGateway;

beforeAll(async () => {
  upstream = await startUpstream((request, response, body) => {
    const answer = new URL(request.url!, 'http://x').searchParams;
    const status = Number(answer.get('status') ?? 200);
    const empty = status === 204 || status === 205 || status === 304;
    response.writeHead(status, { 'set-cookie': ['a=1; Path=/', 'b=2'], 'x-many': ['1', '2'], etag: '"v1"' });
    if (empty) response.end();
    else if (answer.has('echo')) response.end(Buffer.from(body, 'binary'));
    else mirror(response, { method: request.method });
  });
  gateway = await startGateway({
    listen: { maxBodyBytes: '8MiB' },
    upstreams: { service: { endpoints: [upstream.url] } },
    routes: [{ path: '/s{/*rest}', upstream: 'service' }],
  });
});

afterAll(async () => {
  await untilIdle(gateway);
  await gateway.stop();
  await upstream.close();
});

describe.each(forms)('A request with a body, $form', ({ body, chunked }) => {
  test.each(['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND'])(
    '%s arrives byte for byte, and as it was framed',
    async (method) => {
      const answer = await send(`${gateway.url}/s/x?q=%2F`, {
        method,
        body: chunked ? Readable.from([body]) : body,
        headers: {
          'content-type': 'application/x-test',
          ...(chunked ? { 'transfer-encoding': 'chunked' } : { 'content-length': body.length }),
        },
      });
      expect(answer.json()).toEqual({ method });
      const { headers, ...received } = upstream.requests.at(-1)!;
      expect(received).toMatchObject({ method, url: '/s/x?q=%2F', sha256: sha256(body) });
      expect(headers['content-type']).toBe('application/x-test');
      expect(headers.host).toBe(new URL(upstream.url).host);
      if (chunked) expect([headers['transfer-encoding'], headers['content-length']]).toEqual(['chunked', undefined]);
      else expect([headers['transfer-encoding'], headers['content-length']]).toEqual([undefined, String(body.length)]);
    },
  );

  test.each([200, 201, 204, 205, 302, 304, 400, 404, 409, 418, 500, 599])(
    'status %i comes back, with fields that are repeated (RFC 9110 §5.3)',
    async (status) => {
      const answer = await send(`${gateway.url}/s?status=${status}`, {
        method: 'POST',
        body: chunked ? Readable.from([body]) : body,
      });
      expect(answer.status).toBe(status);
      expect(answer.headers['set-cookie']).toEqual(['a=1; Path=/', 'b=2']);
      expect(answer.headers['x-many']).toBe('1, 2');
      expect(answer.headers.etag).toBe('"v1"');
      if (status === 204 || status === 304) expect(answer.headers['content-length']).toBeUndefined();
    },
  );

  test('one connection carries many of them, in turn with others', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    for (const method of ['POST', 'GET', 'PUT', 'GET']) {
      const sending = method === 'GET' ? {} : { body: chunked ? Readable.from([body]) : body };
      const answer = await send(`${gateway.url}/s`, { method, agent, ...sending });
      expect(answer.json()).toEqual({ method });
    }
    agent.destroy();
  });
});

describe('A request without a body', () => {
  test.each(['GET', 'HEAD', 'DELETE', 'OPTIONS', 'POST', 'PUT'])('%s arrives without one', async (method) => {
    await send(`${gateway.url}/s`, {
      method,
      headers: method === 'POST' || method === 'PUT' ? { 'content-length': 0 } : {},
    });
    expect(upstream.requests.at(-1)).toMatchObject({ method, body: '' });
    expect(upstream.requests.at(-1)?.headers['transfer-encoding']).toBeUndefined();
  });

  test('an empty body of unknown length is still one', async () => {
    const answer = await send(`${gateway.url}/s`, {
      method: 'DELETE',
      body: Readable.from([]),
      headers: { 'transfer-encoding': 'chunked' },
    });
    expect(answer.json()).toEqual({ method: 'DELETE' });
  });

  test('requests that follow each other without waiting are answered in order (RFC 9112 §9.3.2)', async () => {
    const client = await RawClient.connect(gateway.url);
    client.head('POST /s HTTP/1.1', 'Host: x', 'Content-Length: 0');
    client.head('GET /s HTTP/1.1', 'Host: x');
    client.head('DELETE /s HTTP/1.1', 'Host: x', 'Connection: close');
    const received = await client.end();
    expect([...received.matchAll(/"method":"(\w+)"/g)].map((match) => match[1])).toEqual(['POST', 'GET', 'DELETE']);
  });

  test('a HEAD has the length of what a GET would have brought, and nothing else (RFC 9110 §9.3.2)', async () => {
    const script = await startScript('HTTP/1.1 200 OK\r\nContent-Length: 12345\r\nETag: "x"\r\n\r\n');
    const own = await startGateway({
      upstreams: { s: { endpoints: [script.url] } },
      routes: [{ path: '/', upstream: 's' }],
    });
    const answer = await send(own.url, { method: 'HEAD' });
    expect([answer.headers['content-length'], answer.body.length]).toEqual(['12345', 0]);
    await untilIdle(own);
    await own.stop();
    await script.close();
  });

  test("conditions of the client are the upstream's to judge (RFC 9110 §13)", async () => {
    await send(`${gateway.url}/s?status=304`, {
      headers: {
        'if-none-match': '"v1"',
        'if-modified-since': 'Sat, 21 Nov 2026 00:00:00 GMT',
        range: 'bytes=0-1',
        'if-range': '"v1"',
      },
    });
    expect(upstream.requests.at(-1)?.headers).toMatchObject({
      'if-none-match': '"v1"',
      'if-modified-since': 'Sat, 21 Nov 2026 00:00:00 GMT',
      range: 'bytes=0-1',
      'if-range': '"v1"',
    });
  });
});

/** What an upstream may do that node:http's server would not. */
describe.each([
  ['buffered', 'GET', undefined],
  ['streamed', 'POST', large],
] as const)('An answer as only bytes can show it, %s', (_, method, body) => {
  let script: RawUpstream;
  let own: TestGateway;

  async function answering(bytes: string, after: 'end' | 'keep' = 'keep') {
    script = await startScript(bytes, after);
    own = await startGateway({
      listen: { maxBodyBytes: '8MiB' },
      upstreams: { s: { endpoints: [script.url], retry: { attempts: 0 }, attemptTimeout: '2s' } },
      routes: [{ path: '/', upstream: 's' }],
    });
    try {
      return await send(own.url, { method, ...(body && { body }) });
    } finally {
      await untilIdle(own);
      await own.stop();
      await script.close();
    }
  }

  test('1xx are passed on (RFC 9110 §15.2), early hints too (RFC 8297)', async () => {
    const answer = await answering(
      'HTTP/1.1 102 Processing\r\n\r\n' +
        'HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload; as=style\r\nX-Powered-By: x\r\nServer: secret\r\nX-Weir-Tier: x\r\n\r\n' +
        'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi',
    );
    expect(answer.informed).toEqual([
      { status: 102, headers: {} },
      { status: 103, headers: { link: '</a.css>; rel=preload; as=style' } },
    ]);
    expect([answer.status, answer.text]).toEqual([200, 'hi']);
  });

  test('early hints that make no sense are left out', async () => {
    const answer = await answering(
      'HTTP/1.1 103 Early Hints\r\nLink: nonsense\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi',
    );
    expect([answer.informed, answer.status, answer.text]).toEqual([[], 200, 'hi']);
  });

  test('trailers are passed on (RFC 9110 §6.5), less those that speak of framing or to this hop', async () => {
    const answer = await answering(
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 42\r\nX-Weir-Tier: pro\r\nServer: x\r\nSet-Cookie: a=1\r\nContent-Type: x\r\n\r\n',
    );
    expect([answer.text, answer.trailers]).toEqual(['hi', { 'x-sum': '42' }]);
  });

  test('a body that ends with the connection is whole (RFC 9112 §6.3)', async () => {
    const answer = await answering('HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nall of it', 'end');
    expect([answer.status, answer.text]).toEqual([200, 'all of it']);
  });

  test('octets above ASCII in a field survive (RFC 9110 §5.5)', async () => {
    const answer = await answering('HTTP/1.1 200 OK\r\nX-Name: caf\xe9\r\nContent-Length: 0\r\n\r\n');
    expect([answer.status, answer.headers['x-name']]).toEqual([200, 'caf\xe9']);
  });

  test('what is for the hop alone, or names the software, stays inside (RFC 9110 §7.6.1)', async () => {
    const answer = await answering(
      'HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nKeep-Alive: timeout=5\r\nX-Hop: 1\r\nProxy-Authenticate: Basic\r\nUpgrade: h2c\r\n' +
        'Server: Apache/1\r\nX-Powered-By: PHP\r\nX-Weir-Tier: pro\r\nVia: 1.1 inner\r\nX-Kept: 1\r\nContent-Length: 0\r\n\r\n',
    );
    const { date, connection, 'x-request-id': id, traceparent, ...headers } = answer.headers;
    // What a cache says of it is said of reads alone.
    expect({ ...headers, 'cache-status': undefined }).toEqual({
      'x-kept': '1',
      via: '1.1 inner, 1.1 weir',
      'x-content-type-options': 'nosniff',
      'content-length': '0',
    });
    expect([date, connection, id, traceparent].every((value) => value !== undefined)).toBe(true);
  });

  test('a status that has no content has no length either (RFC 9110 §8.6)', async () => {
    const answer = await answering('HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n', 'end');
    expect([answer.status, answer.text, answer.headers['content-length']]).toEqual([204, '', undefined]);
  });

  test('a status that is none is a broken answer', async () => {
    for (const status of ['099', '000', '600000', 'abc']) {
      const answer = await answering(`HTTP/1.1 ${status} Odd\r\nContent-Length: 0\r\n\r\n`);
      expect([status, answer.status]).toEqual([status, 502]);
    }
  });
});

describe('An early answer to an upload', () => {
  test('reaches the client, and the rest of the upload does no harm', async () => {
    // Answers with the head of the request, without waiting for its body.
    const hasty = await startScript('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno');
    const early = await startUpstream(() => {});
    await early.close();
    const own = await startGateway({
      listen: { maxBodyBytes: '64MiB' },
      upstreams: { s: { endpoints: [hasty.url] } },
      routes: [{ path: '/', upstream: 's' }],
    });
    const client = await RawClient.connect(own.url);
    client.head('POST / HTTP/1.1', 'Host: x', 'Content-Length: 200000');
    client.write(large.subarray(0, 100_000));
    await until(() => hasty.connections.size === 1);
    client.write(large.subarray(0, 100_000));
    expect(await client.until('\r\n\r\nno')).toMatch(/^HTTP\/1\.1 403 /);
    await untilIdle(own);
    // The connection is still in step.
    client.head('GET /nothing HTTP/1.1', 'Host: x', 'Connection: close');
    expect(await client.end()).toMatch(/HTTP\/1\.1 404 /);
    await own.stop();
    await hasty.close();
  });
});
