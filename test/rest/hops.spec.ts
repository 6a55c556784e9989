import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { startGateway, untilIdle, type TestGateway } from '../support/gateway.ts';
import { RawClient, send } from '../support/raw-client.ts';
import { answering, startScriptedUpstream, type ScriptedUpstream } from '../support/scripted-upstream.ts';

let service: ScriptedUpstream;
let gateway: TestGateway;
let trusting: TestGateway;

beforeAll(async () => {
  service = await startScriptedUpstream();
  const config = {
    upstreams: { service: { endpoints: [service.url] } },
    routes: [{ path: '{/*rest}', upstream: 'service' }],
  };
  gateway = await startGateway(config);
  trusting = await startGateway({
    ...config,
    listen: { trustedProxies: ['127.0.0.1', '10.0.0.0/8', '2001:db8::/32'] },
  });
});

afterEach(async () => {
  await untilIdle(gateway);
  await untilIdle(trusting);
});

afterAll(async () => {
  await gateway.stop();
  await trusting.stop();
  await service.close();
});

/** By either form of the exchange: held whole, or streamed for its size or its unknown length. */
const requests = {
  'held, without a body': ['GET', []],
  'held, with a body': ['POST', ['Content-Length: 5', '', 'small']],
  'streamed by its length': ['POST', ['Content-Length: 70000', '', 'x'.repeat(70_000)]],
  'streamed in chunks': ['POST', ['Transfer-Encoding: chunked', '', '5;ext=1', 'small', '0', 'X-Trailer: 1', '', '']],
} as const satisfies Record<string, readonly [string, readonly string[]]>;

type Form = keyof typeof requests;

const forms = Object.keys(requests) as Form[];

/** What came of it at the upstream: all lines of the head, as they were. */
async function arrived(form: Form, lines: readonly string[], version = '1.1', url = gateway.url): Promise<string[]> {
  const [method, [framing, ...body]] = requests[form];
  const client = await RawClient.connect(url);
  const head = [`${method} /x HTTP/${version}`, ...lines, ...(framing ? [framing] : [])];
  client.write([...head, ...(body.length > 0 ? body : ['', ''])].join('\r\n'));
  expect(await client.until('plain')).toMatch(/^HTTP\/1\.1 200 /);
  client.socket.destroy();
  return service.heard.at(-1)!.head.trimEnd().split('\r\n');
}

/** The values of all fields of a name. */
function valuesOf(lines: readonly string[], name: string): string[] {
  return lines
    .filter((line) => line.toLowerCase().startsWith(`${name}:`))
    .map((line) => line.slice(name.length + 1).trim());
}

describe.each(forms)('Towards an upstream, %s', (form) => {
  test('what Connection names is dropped, however it is written (RFC 9110 §7.6.1)', async () => {
    const lines = await arrived(form, [
      'Host: x',
      'Connection: X-One,X-TWO ,\tx-three',
      'Connection: , keep-alive,, X-Four',
      'X-One: 1',
      'x-two: 2',
      'X-Three: 3',
      'x-four: 4',
      'X-Kept: 5',
      'Keep-Alive: timeout=1',
      'Proxy-Connection: keep-alive',
      'Proxy-Authorization: Basic eDp5',
      'TE: trailers, deflate',
      'Upgrade: h2c',
    ]);
    for (const name of ['x-one', 'x-two', 'x-three', 'x-four', 'keep-alive', 'proxy-connection', 'te', 'upgrade'])
      expect([name, valuesOf(lines, name)]).toEqual([name, []]);
    expect(valuesOf(lines, 'proxy-authorization')).toEqual([]);
    expect(valuesOf(lines, 'x-kept')).toEqual(['5']);
    expect(valuesOf(lines, 'connection')).toEqual(['keep-alive']);
  });

  test.each([
    ['what the gateway says of the caller', 'x-weir-consumer, x-weir-tier', 'x-weir-consumer', 'anonymous'],
    ['the host', 'host', 'host', 'the upstream'],
    ['the way it came', 'via, x-forwarded-for, forwarded', 'x-forwarded-for', '127.0.0.1'],
    ['the request id', 'x-request-id', 'x-request-id', expect.stringMatching(/^[0-9a-f]{32}$/) as string],
    ['what is accepted', 'accept, accept-encoding', 'accept-encoding', 'identity'],
  ])('nobody names away %s', async (_, named, name, value) => {
    const lines = await arrived(form, ['Host: x', `Connection: ${named}`, 'Accept: text/csv']);
    expect(valuesOf(lines, name)).toEqual([value === 'the upstream' ? new URL(service.url).host : value]);
    expect(valuesOf(lines, 'accept')).toEqual([
      named.startsWith('accept') ? 'application/json, */*;q=0.5' : 'text/csv',
    ]);
  });

  test('nor the framing, which is the gateway’s own: one length, or chunks, and never both', async () => {
    const lines = await arrived(form, ['Host: x', 'Connection: content-length, transfer-encoding']);
    const framing = [valuesOf(lines, 'content-length'), valuesOf(lines, 'transfer-encoding')];
    expect(framing).toEqual(
      {
        'held, without a body': [[], []],
        'held, with a body': [['5'], []],
        'streamed by its length': [['70000'], []],
        'streamed in chunks': [[], ['chunked']],
      }[form],
    );
  });

  test('there is one Host, that of the upstream, whatever the client said', async () => {
    for (const [lines, version] of [
      [['Host: elsewhere.example'], '1.1'],
      [['Host: elsewhere.example:99', 'X-Forwarded-Host: evil.example', 'Forwarded: host=evil.example'], '1.1'],
      ...(form === 'streamed in chunks' ? [] : [[[], '1.0'] as const]),
    ] as const) {
      const heard = await arrived(form, lines, version);
      expect(valuesOf(heard, 'host')).toEqual([new URL(service.url).host]);
      expect(JSON.stringify(heard)).not.toContain('evil');
    }
  });

  test('the gateway stands last in Via, with the version it was asked in (§7.6.3)', async () => {
    expect(valuesOf(await arrived(form, ['Host: x']), 'via')).toEqual(['1.1 weir']);
    expect(valuesOf(await arrived(form, ['Host: x', 'Via: 1.0 fred', 'Via: 2 "p(q)"']), 'via')).toEqual([
      '1.0 fred, 2 "p(q)", 1.1 weir',
    ]);
    if (form !== 'streamed in chunks')
      expect(valuesOf(await arrived(form, ['Host: x'], '1.0'), 'via')).toEqual(['1.0 weir']);
  });
});

describe('The framing of a request', () => {
  test('of chunks is made anew, and extensions and trailers, which nobody asked for, go no further (RFC 9112 §7.1)', async () => {
    await arrived('streamed in chunks', ['Host: x', 'Trailer: X-Trailer']);
    const { head, body } = service.heard.at(-1)!;
    expect(body.replaceAll('\r\n', ' ')).toBe('5 small 0  ');
    expect(head).not.toMatch(/trailer/i);
  });
});

describe('From an upstream', () => {
  const answers = {
    'with a length': 'Content-Length: 2\r\n\r\nhi',
    'in chunks': 'Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n',
    'ended by its connection': 'Connection: close\r\n\r\nhi',
  };

  describe.each(Object.keys(answers) as (keyof typeof answers)[])('an answer %s', (kind) => {
    test.each(['GET', 'POST'])('is framed anew, and what is for the hop stays on it, to a %s', async (method) => {
      service.scripts.set(
        '/answer',
        answering(
          [
            'HTTP/1.1 200 OK',
            'Connection: X-One, keep-alive',
            'Connection: x-two ,Content-Type',
            'X-One: 1',
            'x-TWO: 2',
            'Content-Type: text/plain',
            'Keep-Alive: timeout=5',
            'Proxy-Authenticate: Basic',
            'Proxy-Authentication-Info: x',
            'Proxy-Connection: keep-alive',
            'Upgrade: h2c',
            'TE: trailers',
            'Via: 1.0 inner',
            'X-Kept: 1',
            answers[kind],
          ].join('\r\n'),
          kind === 'ended by its connection' ? 'end' : 'keep',
        ),
      );
      for (const version of ['1.1', '1.0']) {
        const client = await RawClient.connect(gateway.url);
        const body = method === 'GET' ? [] : ['Content-Length: 70000'];
        client.head(`${method} /answer HTTP/${version}`, 'Host: x', 'Connection: close', ...body);
        if (method === 'POST') client.write('x'.repeat(70_000));
        const [head = '', content] = (await client.end()).split('\r\n\r\n', 2);
        const lines = head.toLowerCase().split('\r\n').slice(1);
        const names = lines.map((line) => line.slice(0, line.indexOf(':')));
        expect(names.toSorted()).toEqual(
          [
            ...(method === 'GET' ? ['cache-status'] : []),
            'connection',
            ...(kind === 'with a length' ? ['content-length'] : version === '1.1' ? ['transfer-encoding'] : []),
            'date',
            'traceparent',
            'via',
            'x-content-type-options',
            'x-kept',
            'x-request-id',
          ].toSorted(),
        );
        expect([valuesOf(lines, 'connection'), valuesOf(lines, 'via')]).toEqual([['close'], ['1.0 inner, 1.1 weir']]);
        expect(content).toBe(names.includes('transfer-encoding') ? '2\r\nhi\r\n0' : 'hi');
      }
    });
  });
});

describe('The way a request came', () => {
  const forwarded = (lines: readonly string[]) => ({
    forwarded: valuesOf(lines, 'forwarded'),
    for: valuesOf(lines, 'x-forwarded-for'),
    proto: valuesOf(lines, 'x-forwarded-proto'),
    host: valuesOf(lines, 'x-forwarded-host'),
  });

  test.each(forms)('is said in Forwarded (RFC 7239) and in X-Forwarded-* alike, %s', async (form) => {
    const lines = await arrived(form, [
      'Host: shop.example:8080',
      'Forwarded: for=6.6.6.6',
      'X-Forwarded-For: 6.6.6.6',
    ]);
    expect(forwarded(lines)).toEqual({
      forwarded: ['for=127.0.0.1;host="shop.example:8080";proto=http'],
      for: ['127.0.0.1'],
      proto: ['http'],
      host: ['shop.example:8080'],
    });
  });

  test('has no host where the client named none', async () => {
    expect(forwarded(await arrived('held, without a body', [], '1.0'))).toEqual({
      forwarded: ['for=127.0.0.1;proto=http'],
      for: ['127.0.0.1'],
      proto: ['http'],
      host: [],
    });
  });

  const hop = 'for=127.0.0.1';

  test.each([
    // What the proxies say, and what is made of it: addresses, protocol, host.
    ['for=203.0.113.7;proto=https;host=shop.example', '203.0.113.7', 'https', 'shop.example'],
    ['For="203.0.113.7:4711";PROTO=HTTPS', '203.0.113.7', 'https', 'gateway'],
    ['for="[2001:db9::1]:4711";host="shop.example:8443"', '2001:db9::1', 'http', 'shop.example:8443'],
    ['for=6.6.6.6, for=203.0.113.7;proto=https, for=10.1.2.3;proto=http', '203.0.113.7, 10.1.2.3', 'https', 'gateway'],
    ['for=6.6.6.6;host=evil.example,for="[2001:db9::2]"', '2001:db9::2', 'http', 'gateway'],
    ['for=_hidden;proto=https', '', 'https', 'gateway'],
    ['for=unknown', '', 'http', 'gateway'],
    ['for=203.0.113.7;by=10.0.0.1;secret="a\\"b,c;d"', '203.0.113.7', 'http', 'gateway'],
    // What cannot be read says nothing.
    ['for="203.0.113.7', '', 'http', 'gateway'],
    ['for=203.0.113.7;;proto=https', '', 'http', 'gateway'],
    ['for=203.0.113.7,', '', 'http', 'gateway'],
    ['203.0.113.7', '', 'http', 'gateway'],
    ['for=203.0.113.7;host="a b"', '203.0.113.7', 'http', 'gateway'],
    ['', '', 'http', 'gateway'],
  ])('is believed of trusted proxies. Forwarded: %s', async (given, addresses, proto, host) => {
    const lines = await arrived('held, without a body', ['Host: gateway', `Forwarded: ${given}`], '1.1', trusting.url);
    const chain =
      addresses === '' ? [] : addresses.split(', ').map((ip) => (ip.includes(':') ? `for="[${ip}]"` : `for=${ip}`));
    const [first, ...others] = [...chain, hop];
    expect(forwarded(lines)).toEqual({
      forwarded: [[`${first};host="${host}";proto=${proto}`, ...others].join(', ')],
      for: [[...(addresses === '' ? [] : [addresses]), '127.0.0.1'].join(', ')],
      proto: [proto],
      host: [host],
    });
  });

  test.each(['X-Forwarded-For: 203.0.113.9', 'X-Forwarded-Proto: https', 'X-Forwarded-Host: shop.example'])(
    'is what %s says, where both are said: who writes that passes Forwarded on as anybody wrote it',
    async (other) => {
      const lines = await arrived(
        'held, without a body',
        ['Host: gateway', 'Forwarded: for=6.6.6.6;proto=https;host=evil.example', other],
        '1.1',
        trusting.url,
      );
      expect(JSON.stringify(lines)).not.toMatch(/6\.6\.6\.6|evil/);
      expect(JSON.stringify(forwarded(lines))).toContain(other.split(': ')[1]);
    },
  );

  test('it is the same address in the log', async () => {
    const answer = await send(`${trusting.url}/x`, { headers: { forwarded: 'for=203.0.113.7, for=10.0.0.9' } });
    const line = await trusting.accessOf(String(answer.headers['x-request-id']));
    expect(line.clientIp).toBe('203.0.113.7');
  });
});
