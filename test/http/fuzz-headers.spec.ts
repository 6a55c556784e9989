import { isIP } from 'node:net';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { connectionTokens, hopByHop, type Headers } from '#core/headers.ts';
import { ClientAddresses } from '#gateway/http/client-address.ts';
import { endToEnd, requestHeaders, responseTrailers } from '#gateway/rest/headers.ts';
import { parseB3 } from '#gateway/telemetry/b3.ts';
import { createTracing } from '#gateway/telemetry/tracer.ts';
import { formatTraceparent, isSpanId, isTraceId, parseTraceparent } from '#gateway/telemetry/trace-context.ts';
import { parseTracestate } from '#gateway/telemetry/tracestate.ts';
import { isAuthority } from '#policies/guard/authority.ts';
import { normalTarget, otherReading, pathProblem } from '#policies/guard/path.ts';
import { endedRequest } from '../telemetry/request.ts';

/** Properties of what is done to targets and headers, without a socket. WEIR_FUZZ_SEED repeats a run. */
const { WEIR_FUZZ_SEED: seed } = process.env;
const settings = { numRuns: 3000, ...(seed !== undefined && { seed: Number(seed) }) };

/** Every value of these arbitraries has the property. */
function assertFor<A, B = undefined, C = undefined>(
  ...[a, ...rest]:
    | [fc.Arbitrary<A>, (a: A) => void]
    | [fc.Arbitrary<A>, fc.Arbitrary<B>, (a: A, b: B) => void]
    | [fc.Arbitrary<A>, fc.Arbitrary<B>, fc.Arbitrary<C>, (a: A, b: B, c: C) => void]
): void {
  const none = fc.constant(undefined as never);
  const [b, c] = [
    rest.length > 1 ? (rest[0] as fc.Arbitrary<B>) : none,
    rest.length > 2 ? (rest[1] as fc.Arbitrary<C>) : none,
  ];
  fc.assert(fc.property(a, b, c, rest.at(-1) as (a: A, b: B, c: C) => void), settings);
}

const pick = <T>(...values: readonly T[]) => fc.constantFrom(...values);
/** Words between blanks. */
const words = (text: string, ...others: readonly string[]) => pick(...text.trim().split(/\s+/), ...others);
const pieces = words(
  `/ // . .. ... %2e %2E %252e %25 %2f %2F %252F %5c %255c \\ ; %3b %00 %61 %7E %2D %C3%A9 %c0%ae % %2 %zz a b ~ - _ @ : | ^ {
  " \x01 \u00e9`,
  ' ',
);
const paths = fc.array(pieces, { maxLength: 10 }).map((parts) => `/${parts.join('')}`);
const targets = fc
  .tuple(paths, fc.option(fc.string({ maxLength: 10 }), { nil: undefined }))
  .map(([path, query]) => (query === undefined ? path : `${path}?${query}`));

const pathOf = (target: string) => target.split('?', 1)[0]!;

describe('The normal form of a target', () => {
  test('is its own, says the same, and leaves the query alone (RFC 3986 §6.2.2.2)', () => {
    assertFor(targets, (target) => {
      const normal = normalTarget(target);
      expect(normalTarget(normal)).toBe(normal);
      expect(normal.slice(pathOf(normal).length)).toBe(target.slice(pathOf(target).length));
      const decode = (path: string) => {
        try {
          return decodeURIComponent(path);
        } catch {
          return undefined;
        }
      };
      expect(decode(pathOf(normal))).toBe(decode(pathOf(target)));
      // Where it decodes there is nothing left that could be spelt in another way.
      if (decode(pathOf(target)) !== undefined)
        expect(pathOf(normal)).not.toMatch(/%(2[dDeE]|3\d|4[1-9a-fA-F]|5[0-9aAfF]|6[1-9a-fA-F]|7[0-9aAeE])/);
    });
  });

  test('of a path that passes is the same path to a reader that resolves it (RFC 3986 §5.2.4, the URL Standard)', () => {
    assertFor(paths, (path) => {
      const normal = normalTarget(path);
      if (pathProblem(normal) !== undefined) return;
      const url = new URL(`http://h${normal}`);
      expect(url.host).toBe('h');
      expect(decodeURIComponent(url.pathname)).toBe(decodeURIComponent(normal));
      // Nor does it climb in a relative reading, or when it is decoded and read again.
      expect(new URL(normal, 'http://base/a/b/').host).toBe('base');
      for (let text = normal, times = 0; times < 3; times++) {
        expect(text.split(/[/\\]/).map((segment) => segment.split(';', 1)[0])).not.toContain('..');
        try {
          text = decodeURIComponent(text);
        } catch {
          break;
        }
      }
    });
  });

  test('may be read in another way only as a path without encoded, doubled or cut slashes', () => {
    assertFor(paths, (path) => {
      const other = otherReading(path) ?? path;
      expect(other).not.toMatch(/%2f|;|\/\//i);
      expect(otherReading(other)).toBeUndefined();
    });
  });
});

describe('An authority that passes', () => {
  const parts = words(`a Z 9 - . _ ~ : 80 65535 65536 [ ] ::1 [::1] @ / \\ ? # % %41 , " < \u00e9 127.0.0.1`, ' ');

  test('is a host and nothing else to a reader of URLs (RFC 3986 §3.2)', () => {
    assertFor(
      fc.array(parts, { maxLength: 5 }).map((all) => all.join('')),
      (authority) => {
        if (!isAuthority(authority)) return;
        // The URL Standard knows names that are no numbers and yet end in one; those are no host to it.
        const url = URL.parse(`http://${authority}/path`);
        if (!url) return;
        expect([url.username, url.password, url.pathname, url.search, url.hash]).toEqual(['', '', '/path', '', '']);
        expect(authority).toMatch(/^(?:[\w.~-]+|\[[\da-fA-F:.]+\])(?::\d*)?$/);
      },
    );
  });
});

const names = words(`
  host connection keep-alive te trailer transfer-encoding upgrade proxy-connection proxy-authorization content-length
  content-type authorization cookie forwarded x-forwarded-for x_forwarded_for x-weir-tier x_weir_tier x-weir_roles via expect
  accept traceparent tracestate b3 x-b3-sampled x_b3_flags x-a x-b etag`);
const received: fc.Arbitrary<Headers> = fc.dictionary(
  names,
  fc.oneof(fc.string({ maxLength: 8 }), pick('a, b', 'chunked', '5')),
  { maxKeys: 12 },
);
const listed = fc
  .array(
    fc
      .tuple(pick('', ' ', '\t'), fc.oneof(names, pick('close', 'keep-alive', '', 'X-A', 'HOST')))
      .map(([blank, name]) => blank + name + blank),
    { maxLength: 5 },
  )
  .map((tokens) => tokens.join(','));

const span = createTracing({ sampleRatio: 0, propagation: ['tracecontext'] }, undefined).startServerSpan({
  method: 'GET',
  headers: {},
  trustedPeer: false,
  name: 'GET',
});
function requestWith(headers: Headers) {
  const context = endedRequest(span);
  Object.assign(context.headers, headers);
  return context;
}

describe('Headers on their way', () => {
  const oursAlone =
    /^(host|expect|via|forwarded|authorization|cookie|traceparent|tracestate|b3)$|^x[-_](weir|forwarded|b3)[-_]|^x-real-ip$/;

  test('to a service are the end-to-end ones, none that Connection names, none that the gateway speaks in (RFC 9110 §7.6.1)', () => {
    assertFor(received, listed, fc.boolean(), (headers, connection, streamed) => {
      const context = requestWith({ ...headers, connection });
      const sent = requestHeaders(context, streamed);
      const named = new Set(connectionTokens(connection));
      for (const name of Object.keys(sent)) {
        expect(hopByHop.has(name)).toBe(false);
        expect(name).not.toMatch(oursAlone);
        // Each hop's own: what it takes, and how long what it sends is.
        if (!['accept', 'accept-encoding', 'content-length'].includes(name)) {
          expect(named.has(name)).toBe(false);
          expect(sent[name]).toBe(context.headers[name]);
        }
      }
      for (const name of ['x-a', 'x-b', 'content-type', 'etag'])
        if (headers[name] !== undefined && !named.has(name)) expect(sent[name]).toBe(headers[name]);
      expect(sent['content-length']).toBe(streamed ? '0' : undefined);
    });
  });

  test('back to a client too, and trailers are no framing (RFC 9110 §6.5.1)', () => {
    assertFor(received, listed, (headers, connection) => {
      const context = requestWith({});
      const named = new Set(connectionTokens(connection));
      const all = { ...headers, connection };
      const kept = endToEnd(context, all);
      for (const name of Object.keys(kept)) {
        expect(hopByHop.has(name) || named.has(name) || name.startsWith('x-weir-')).toBe(false);
        expect(kept[name]).toBe(all[name as keyof typeof all]);
      }
      for (const name of Object.keys(responseTrailers(context, all)))
        expect(name).not.toMatch(/^(content-.*|transfer-encoding|trailer|set-cookie|connection)$/);
    });
  });

  test('connection options are names in lower case, without blanks, `close` and `keep-alive`', () => {
    assertFor(listed, (connection) => {
      const tokens = connectionTokens(connection);
      for (const token of tokens) expect(token).toMatch(/^[^\s,]+$/);
      expect(tokens).not.toContain('close');
      expect(tokens).not.toContain('keep-alive');
      expect(connectionTokens(tokens.join(' , '))).toEqual(tokens);
      // Whatever the list says twice or in capitals, it says once.
      for (const part of connection.split(',')) {
        const name = part.trim().toLowerCase();
        if (name !== '' && name !== 'close' && name !== 'keep-alive') expect(tokens).toContain(name);
      }
    });
  });
});

describe('The way of a request', () => {
  const address = words(
    `10.1.1.1 10.255.0.9 203.0.113.7 ::ffff:203.0.113.8 [2001:db8::1]:99 2001:db8::2 fd00::1 203.0.113.9:80 unknown _hidden
    <b> 999.1.1.1 fe80::1%eth0`,
    '',
  );
  const chain = fc
    .array(fc.tuple(address, pick('', ' ', '\t')), { maxLength: 6 })
    .map((all) => all.map(([text, blank]) => blank + text).join(','));
  const hosts = fc.oneof(
    fc.string({ maxLength: 12 }),
    pick('shop.example', 'a, b', 'a/b', 'u@h', '[::1]:80', 'x"y', ''),
  );
  const protos = pick('http', 'https', 'javascript', 'http, https', 'https,http', '', 'HTTPS');
  const trusting = new ClientAddresses(['10.0.0.0/8', 'fd00::/8', '127.0.0.1']);

  const claims = fc.record({ 'x-forwarded-for': chain, 'x-forwarded-host': hosts, 'x-forwarded-proto': protos });

  test('is what the socket says, whatever an untrusted peer claims', () => {
    assertFor(claims, pick('203.0.113.7', '2001:db8::1', '::ffff:198.51.100.1'), (headers, peer) => {
      const { peerIp, clientIp, trustedPeer, forwarded } = trusting.resolve(peer, headers, 'http', 'weir.example');
      const plain = peer.replace('::ffff:', '');
      expect([peerIp, clientIp, trustedPeer]).toEqual([plain, plain, false]);
      expect(forwarded).toEqual({ for: plain, proto: 'http', host: 'weir.example' });
    });
  });

  test('is a chain of addresses that trusted proxies vouch for, the client first and the peer last', () => {
    assertFor(claims, (headers) => {
      const { clientIp, forwarded } = trusting.resolve('127.0.0.1', headers, 'http', 'weir.example');
      const nodes = forwarded.for.split(', ');
      expect(nodes.map((node) => isIP(node)).includes(0)).toBe(false);
      expect([nodes[0], nodes.at(-1)]).toEqual([clientIp, '127.0.0.1']);
      // Behind the client there is nobody who is not trusted.
      for (const node of nodes.slice(1)) expect(trusting.trusts(node)).toBe(true);
      expect(['http', 'https']).toContain(forwarded.proto);
      expect(forwarded.host).toMatch(/^[\w.:[\]-]+$/);
    });
  });
});

describe('What a caller says of a trace', () => {
  const hex = (length: number) =>
    fc
      .array(pick(...Array.from('0123456789abcdefABCDEFg-')), { minLength: length - 1, maxLength: length + 1 })
      .map((all) => all.join(''));
  const plainHex = (length: number) =>
    fc
      .array(pick(...Array.from('0123456789abcdef')), { minLength: length, maxLength: length })
      .map((all) => all.join(''));
  const parents = fc.oneof(
    fc
      .tuple(pick('00', '01', 'cc', 'fe', 'ff', '0', 'FF'), hex(32), hex(16), hex(2), pick('', '-', '-more', '.more'))
      .map(([version, trace, parent, flags, more]) => `${version}-${trace}-${parent}-${flags}${more}`),
    fc
      .tuple(pick('00', '01', 'cc', 'ff'), plainHex(32), plainHex(16), plainHex(2), pick('', '-more'))
      .map(([version, trace, parent, flags, more]) => `${version}-${trace}-${parent}-${flags}${more}`),
    fc.string({ maxLength: 70 }),
  );

  test('is a valid parent by the grammar of its version, or none (Trace Context 2 §3.2.2)', () => {
    const grammar =
      /^(?!ff)(?:00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}|(?!00)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?)$/s;
    assertFor(parents, (value) => {
      const remote = parseTraceparent(value);
      expect(remote !== undefined).toBe(grammar.test(value));
      if (!remote) return;
      expect(isTraceId(remote.traceId) && isSpanId(remote.parentId)).toBe(true);
      const again = formatTraceparent(remote.traceId, remote.parentId, remote.flags);
      expect(parseTraceparent(again)).toEqual(remote);
    });
  });

  const member = fc.oneof(
    fc
      .tuple(
        fc.stringMatching(/^[a-z0-9][a-z0-9_*/@-]{0,20}$/),
        fc.stringMatching(/^[!-+\--<>-~ ]{0,200}[!-+\--<>-~]$/),
      )
      .map((pair) => pair.join('=')),
    fc.constant(`${'k'.repeat(256)}=${'v'.repeat(256)}`),
    fc.string({ maxLength: 6 }),
    pick('', ' ', 'a=1', 'A=1', 'a', '=1', 'a='),
  );

  test('is a state that anybody can read, of at most 32 members and 512 characters, or none (§3.3)', () => {
    assertFor(fc.array(fc.tuple(member, pick('', ' ', '\t')), { maxLength: 40 }), (members) => {
      const value = members.map(([text, blank]) => blank + text + blank).join(',');
      const state = parseTracestate(value);
      if (state === undefined) return;
      expect(state.length).toBeLessThanOrEqual(512);
      const parts = state.split(',');
      expect(parts.length).toBeLessThanOrEqual(32);
      for (const part of parts) expect(part).toMatch(/^[a-z0-9][a-z0-9_*/@-]{0,255}=[ -+\--<>-~]{0,255}[!-+\--<>-~]$/);
      expect(parseTracestate(state)).toBe(state);
    });
  });

  test('is B3 of valid ids, or none', () => {
    const b3 = fc.oneof(
      fc
        .tuple(
          fc.oneof(plainHex(32), plainHex(16), hex(16)),
          fc.oneof(plainHex(16), hex(16)),
          pick('', '-1', '-0', '-d', '-x', '-true'),
          pick('', '-1234567890123456', '-short'),
        )
        .map(([trace, id, state, parent]) => `${trace}-${id}${state}${parent}`),
      pick('0', '1', 'd', 'x', ''),
      fc.string({ maxLength: 80 }),
    );
    assertFor(b3, fc.option(hex(16), { nil: undefined }), (single, traceId) => {
      const { remote, sampled, debug } = parseB3({
        b3: single,
        'x-b3-traceid': traceId,
        'x-b3-spanid': '1234567890123456',
      });
      if (remote) expect([isTraceId(remote.traceId), isSpanId(remote.parentId), remote.flags]).toEqual([true, true, 0]);
      if (debug) expect(sampled).toBe(true);
    });
  });
});
