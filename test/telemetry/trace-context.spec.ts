import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Headers } from '#core/headers.ts';
import type { Span } from '#core/trace.ts';
import { createTracing, type Tracing } from '#gateway/telemetry/tracer.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { RawClient } from '../support/raw-client.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';

const traceId = '12345678901234567890123456789012';
const parentId = '1234567890123456';
const traceparent = `00-${traceId}-${parentId}-00`;

function tracing(options: { ratio?: number; propagation?: ('tracecontext' | 'b3' | 'b3-single')[] } = {}): Tracing {
  const { ratio = 0, propagation = ['tracecontext', 'b3'] } = options;
  return createTracing({ sampleRatio: ratio, propagation }, undefined);
}

function arrive(headers: Headers, { trustedPeer = false, by = tracing() } = {}): Span {
  return by.startServerSpan({ method: 'GET', headers, trustedPeer, name: 'GET' });
}

function sent(span: Span, headers: Headers = {}, by = tracing()): Headers {
  by.propagate(span, headers);
  return headers;
}

describe('traceparent (Trace Context 2 §3.2)', () => {
  it('is made when missing, of random ids that differ each time', () => {
    const spans = Array.from({ length: 1000 }, () => arrive({}));
    for (const span of spans) {
      expect(span.traceId).toMatch(/^[0-9a-f]{32}$/);
      expect(span.spanId).toMatch(/^[0-9a-f]{16}$/);
    }
    expect(new Set(spans.map((span) => span.traceId)).size).toBe(1000);
    expect(new Set(spans.map((span) => span.spanId)).size).toBe(1000);
  });

  it('is continued when valid, under a parent-id of our own', () => {
    const span = arrive({ traceparent });
    expect(span.traceId).toBe(traceId);
    expect(span.spanId).not.toBe(parentId);
    expect(sent(span).traceparent).toMatch(new RegExp(`^00-${traceId}-[0-9a-f]{16}-00$`));
  });

  it.each([
    ['future version', `cc-${traceId}-${parentId}-01`],
    ['future version with more fields', `cc-${traceId}-${parentId}-01-what-the-future-will-be-like`],
    ['highest version', `fe-${traceId}-${parentId}-01`],
  ])('of a %s is read as far as 00 goes, and sent on as 00 (§3.2.4)', (_, value) => {
    const span = arrive({ traceparent: value });
    expect(span.traceId).toBe(traceId);
    expect(sent(span).traceparent).toMatch(/^00-/);
  });

  it.each([
    ['version ff', `ff-${traceId}-${parentId}-01`],
    ['version 00 with a trailing character', `${traceparent}.`],
    ['version 00 with more fields', `${traceparent}-what-the-future-will-be-like`],
    ['future version with something else than a dash after the flags', `cc-${traceId}-${parentId}-01.what`],
    ['two headers joined', `${traceparent}, 00-${traceId}-${parentId}-00`],
    ['two headers of a future version joined', `cc-${traceId}-${parentId}-00, cc-${traceId}-${parentId}-00`],
    ['two headers', [traceparent, traceparent]],
    ['upper case in the trace id', `00-${'A'.repeat(32)}-${parentId}-00`],
    ['upper case in the parent id', `00-${traceId}-${'B'.repeat(16)}-00`],
    ['upper case in the version', `CC-${traceId}-${parentId}-00`],
    ['upper case in the flags', `00-${traceId}-${parentId}-0A`],
    ['illegal characters in the version', `.0-${traceId}-${parentId}-01`],
    ['illegal characters in the trace id', `00-.${traceId.slice(1)}-${parentId}-01`],
    ['illegal characters in the parent id', `00-${traceId}-${parentId.slice(1)}.-01`],
    ['illegal characters in the flags', `00-${traceId}-${parentId}-0.`],
    ['version too long', `000-${traceId}-${parentId}-01`],
    ['version too short', `0-${traceId}-${parentId}-01`],
    ['trace id too long', `00-${traceId}3-${parentId}-01`],
    ['trace id too short', `00-${traceId.slice(1)}-${parentId}-01`],
    ['parent id too long', `00-${traceId}-${parentId}7-01`],
    ['parent id too short', `00-${traceId}-${parentId.slice(1)}-01`],
    ['flags too long', `00-${traceId}-${parentId}-001`],
    ['flags too short', `00-${traceId}-${parentId}-1`],
    ['trace id of zeroes', `00-${'0'.repeat(32)}-${parentId}-01`],
    ['parent id of zeroes', `00-${traceId}-${'0'.repeat(16)}-01`],
    ['nothing', ''],
  ])('with %s starts a new trace and drops the tracestate', (_, value) => {
    const headers: Headers = { traceparent: value, tracestate: 'foo=1' };
    const span = arrive(headers);
    expect(span.traceId).not.toBe(traceId);
    expect(span.traceId).toMatch(/^[0-9a-f]{32}$/);
    expect(span.traceState).toBeUndefined();
    expect(sent(span, headers)).not.toHaveProperty('tracestate');
  });

  it('has a parent-id of its own on every outgoing request, sampled or not (§4)', () => {
    const span = arrive({ traceparent });
    const ids = Array.from({ length: 3 }, () => String(sent(span).traceparent).slice(36, 52));
    expect(new Set([...ids, parentId]).size).toBe(4);
  });
});

describe('the random-trace-id flag (Trace Context 2 §3.2.2.5.2)', () => {
  it('is set on a trace that starts here', () => {
    expect(sent(arrive({})).traceparent).toMatch(/-02$/);
  });

  it.each([
    ['00', '00'],
    ['02', '02'],
    ['01', '00'],
    ['03', '02'],
    ['ff', '02'],
  ])('of a trace that is continued with flags %s stays as it is: %s', (given, expected) => {
    const span = arrive({ traceparent: `00-${traceId}-${parentId}-${given}` });
    expect(sent(span).traceparent).toMatch(new RegExp(`-${expected}$`));
  });

  it('is not claimed for ids that came by B3', () => {
    expect(sent(arrive({ b3: `${traceId}-${parentId}` })).traceparent).toMatch(/-00$/);
  });
});

describe('tracestate (Trace Context 2 §3.3)', () => {
  const stateOf = (tracestate: string | string[]) => arrive({ traceparent, tracestate }).traceState;
  const members = (count: number) => Array.from({ length: count }, (_, i) => `k${i}=${i}`);
  const valueCharacters = Array.from({ length: 0x7e - 0x20 + 1 }, (_, i) => String.fromCharCode(0x20 + i))
    .filter((character) => character !== ',' && character !== '=')
    .join('');

  it('is sent on beside a valid traceparent', () => {
    const span = arrive({ traceparent, tracestate: 'foo=1,bar=2' });
    expect(sent(span).tracestate).toBe('foo=1,bar=2');
  });

  it('without a traceparent is dropped (§4.1)', () => {
    const headers: Headers = { tracestate: 'foo=1' };
    expect(sent(arrive(headers), headers)).not.toHaveProperty('tracestate');
  });

  it('is not sent when empty', () => {
    for (const empty of ['', ' ', ',', ' , \t,']) expect(stateOf(empty)).toBeUndefined();
  });

  it('in several fields is one list in their order', () => {
    expect(stateOf(['foo=1,bar=2', '', 'rojo=1', 'baz=3'])).toBe('foo=1,bar=2,rojo=1,baz=3');
  });

  it('loses spaces and tabs around members, and empty members', () => {
    expect(stateOf(' \tfoo=1 \t , \t bar=2,,  ,baz=3\t')).toBe('foo=1,bar=2,baz=3');
  });

  it('keeps leading spaces of a value', () => {
    expect(stateOf('foo=  1')).toBe('foo=  1');
  });

  it('may have every character that the grammar allows', () => {
    const all = `abcdefghijklmnopqrstuvwxyz0123456789_-*/@=${valueCharacters}`;
    expect(stateOf(`0@b=1,${all}`)).toBe(`0@b=1,${all}`);
  });

  it.each([
    'foo',
    '=1',
    'foo=',
    'foo =1',
    'FOO=1',
    'foo.bar=1',
    '@foo=1,bar=2',
    '_foo=1',
    'foo=bar=baz',
    'foo=,bar=3',
    'foo=1,bar=\u0007',
    'foo=\u00e9',
    `${'z'.repeat(257)}=1`,
    `foo=${'z'.repeat(257)}`,
  ])('that is malformed (%j) is dropped whole, and the traceparent is kept', (tracestate) => {
    const span = arrive({ traceparent, tracestate });
    expect(span.traceState).toBeUndefined();
    expect(span.traceId).toBe(traceId);
  });

  it("keeps a key that comes twice: both are somebody else's (§3.3.1.3)", () => {
    expect(stateOf('foo=1,bar=2,foo=3')).toBe('foo=1,bar=2,foo=3');
  });

  it('may have 256 characters in a key and in a value', () => {
    const longKey = `${'z'.repeat(256)}=1`;
    const longValue = `a=${'z'.repeat(256)}`;
    expect(stateOf(longKey)).toBe(longKey);
    expect(stateOf(longValue)).toBe(longValue);
  });

  it('may have 32 members, and is dropped with 33', () => {
    expect(stateOf(members(32).join(','))).toBe(members(32).join(','));
    expect(stateOf(members(33).join(','))).toBeUndefined();
  });

  it('is passed on up to 512 characters whole', () => {
    const exact = [`a=${'x'.repeat(254)}`, `b=${'x'.repeat(253)}`].join(',');
    expect(exact).toHaveLength(512);
    expect(stateOf(exact)).toBe(exact);
  });

  it('above 512 characters loses whole members, those above 128 characters first (§3.3.3.1)', () => {
    const long = `long=${'x'.repeat(200)}`;
    const rest = Array.from({ length: 10 }, (_, i) => `k${i}=${'y'.repeat(37)}`);
    expect(stateOf([long, ...rest].join(','))).toBe(rest.join(','));
  });

  it('of one member that is too long by itself is dropped', () => {
    expect(stateOf(`${'k'.repeat(256)}=${'v'.repeat(256)}`)).toBeUndefined();
  });

  it('above 512 characters without long members loses them from the end', () => {
    const all = Array.from({ length: 20 }, (_, i) => `k${String(i).padStart(2, '0')}=${'y'.repeat(46)}`);
    const kept = stateOf(all.join(','))!;
    expect(kept).toBe(all.slice(0, 10).join(','));
    expect(kept.length).toBeLessThanOrEqual(512);
  });
});

describe('B3', () => {
  it.each([
    ['single', { b3: `${traceId}-${parentId}-1` }],
    ['single without a state', { b3: `${traceId}-${parentId}` }],
    ['single with a parent', { b3: `${traceId}-${parentId}-1-${'a'.repeat(16)}` }],
    ['multi', { 'x-b3-traceid': traceId, 'x-b3-spanid': parentId, 'x-b3-sampled': '1' }],
  ])('%s is read where there is no traceparent', (_, headers) => {
    expect(arrive(headers).traceId).toBe(traceId);
  });

  it('yields to a traceparent', () => {
    const span = arrive({ traceparent, b3: `${'a'.repeat(32)}-${parentId}-1` });
    expect(span.traceId).toBe(traceId);
  });

  it('does not rescue an invalid traceparent', () => {
    const span = arrive({ traceparent: 'broken', b3: `${traceId}-${parentId}-1` });
    expect(span.traceId).not.toBe(traceId);
  });

  it('with a 64-bit id is padded with zeroes on the left', () => {
    expect(arrive({ b3: `${parentId}-${parentId}-1` }).traceId).toBe(`0000000000000000${parentId}`);
  });

  it.each([
    { b3: 'broken' },
    { b3: `${traceId}-${parentId}-x` },
    { b3: `${traceId}-${parentId}-true` },
    { b3: `${traceId}-${parentId}-` },
    { b3: `${traceId.slice(1)}-${parentId}-1` },
    { b3: `${traceId}-${parentId.slice(1)}-1` },
    { b3: `${traceId}-${'0'.repeat(16)}-1` },
    { b3: traceId },
    { b3: `${traceId}-${parentId}-1, ${traceId}-${parentId}-1` },
    { b3: [`${traceId}-${parentId}-1`, `${traceId}-${parentId}-1`] },
    { b3: `${traceId}-${parentId}-1-short` },
    { b3: `${traceId}-${parentId}-1-${parentId}-more` },
    { b3: `${traceId.toUpperCase().replace('1', 'A')}-${parentId}-1` },
    { b3: `${'0'.repeat(32)}-${parentId}-1` },
    { b3: `${traceId}-${'x'.repeat(100_000)}` },
    { 'x-b3-traceid': traceId },
    { 'x-b3-traceid': [traceId, traceId], 'x-b3-spanid': parentId },
    { 'x-b3-traceid': 'x', 'x-b3-spanid': parentId },
  ])('that is invalid starts a new trace (case %#)', (headers: Headers) => {
    expect(arrive(headers).traceId).not.toContain(parentId);
    expect(arrive(headers).traceId).toMatch(/^[0-9a-f]{32}$/);
  });

  it('single comes before multi', () => {
    const other = 'a'.repeat(32);
    const span = arrive({ b3: `${other}-${parentId}-1`, 'x-b3-traceid': traceId, 'x-b3-spanid': parentId });
    expect(span.traceId).toBe(other);
  });

  it('single that is invalid leaves it to multi', () => {
    for (const b3 of ['broken', '', `${traceId}-${parentId}-x`, `${'0'.repeat(32)}-${parentId}-1`, '2']) {
      expect(arrive({ b3, 'x-b3-traceid': traceId, 'x-b3-spanid': parentId }).traceId).toBe(traceId);
    }
  });

  it('single that only decides starts a trace (deny, accept, debug)', () => {
    for (const b3 of ['0', '1', 'd']) {
      const span = arrive({ b3, 'x-b3-traceid': traceId, 'x-b3-spanid': parentId });
      expect(span.traceId).not.toBe(traceId);
    }
  });

  it.each<[Headers]>([
    [{ b3: `${traceId}-${parentId}-d` }],
    [{ b3: 'd' }],
    [{ 'x-b3-flags': '1', 'x-b3-sampled': '0' }],
  ])('debug of a trusted peer is sent on in the place of the decision, by no W3C flag: %j', (headers) => {
    const by = tracing({ propagation: ['tracecontext', 'b3', 'b3-single'] });
    const span = arrive(headers, { trustedPeer: true, by });
    const written = sent(span, {}, by);
    expect(written['x-b3-flags']).toBe('1');
    expect(written).not.toHaveProperty('x-b3-sampled');
    expect(written.b3).toMatch(/-d$/);
    expect(written.traceparent).toMatch(/-0[13]$/);
  });

  it('debug of anybody else is not', () => {
    const by = tracing({ propagation: ['b3', 'b3-single'] });
    const written = sent(arrive({ b3: `${traceId}-${parentId}-d` }, { by }), {}, by);
    expect(written).toMatchObject({ 'x-b3-sampled': '0', 'x-b3-traceid': traceId });
    expect(written.b3).toMatch(/-0$/);
    expect(written).not.toHaveProperty('x-b3-flags');
  });

  it('denied by a trusted peer is sent on as denied, by every header', () => {
    const by = tracing({ ratio: 1, propagation: ['tracecontext', 'b3', 'b3-single'] });
    const written = sent(arrive({ b3: `${traceId}-${parentId}-0` }, { trustedPeer: true, by }), {}, by);
    expect([written.traceparent, written['x-b3-sampled'], written.b3]).toEqual([
      expect.stringMatching(/-00$/),
      '0',
      expect.stringMatching(/-0$/),
    ]);
  });

  it('single is written, in the place of all that the client sent, where it is configured', () => {
    for (const propagation of [['b3-single'], ['tracecontext', 'b3-single']] as const) {
      const by = tracing({ propagation: [...propagation] });
      const span = arrive({ 'x-b3-traceid': parentId, 'x-b3-spanid': parentId }, { by });
      const written = sent(span, { 'x-b3-traceid': 'x', 'x-b3-flags': '1', b3: 'x' }, by);
      expect(written.b3).toMatch(new RegExp(`^${'0'.repeat(16)}${parentId}-[0-9a-f]{16}-0$`));
      expect(Object.keys(written).filter((name) => name.startsWith('x-b3'))).toEqual([]);
    }
  });

  it('multi is written, and what the client sent of B3 is replaced', () => {
    const span = arrive({ traceparent: `00-${traceId}-${parentId}-01` }, { trustedPeer: true });
    const headers = sent(span, {
      b3: `${'a'.repeat(32)}-${'b'.repeat(16)}-1`,
      'x-b3-traceid': 'c',
      'x-b3-parentspanid': 'd',
      'x-b3-flags': '1',
    });
    expect(headers).toEqual({
      traceparent: expect.stringContaining(`00-${traceId}-`) as string,
      'x-b3-traceid': traceId,
      'x-b3-spanid': String(headers.traceparent).slice(36, 52),
      'x-b3-sampled': '1',
    });
  });

  it('is neither read nor written where it is not configured', () => {
    const by = tracing({ propagation: ['tracecontext'] });
    const span = arrive({ b3: `${traceId}-${parentId}-1` }, { by });
    expect(span.traceId).not.toBe(traceId);
    expect(Object.keys(sent(span, {}, by))).toEqual(['traceparent']);
  });

  it('alone is read and written where only it is configured', () => {
    const by = tracing({ propagation: ['b3'] });
    const span = arrive({ traceparent, b3: `${'a'.repeat(32)}-${parentId}-1` }, { by });
    expect(span.traceId).toBe('a'.repeat(32));
    expect(Object.keys(sent(span, {}, by)).toSorted()).toEqual(['x-b3-sampled', 'x-b3-spanid', 'x-b3-traceid']);
  });
});

describe('the decision to sample', () => {
  const flagsOf = (span: Span) => span.flags & 1;
  const asking = { traceparent: `00-${traceId}-${parentId}-01` };
  const declining = { traceparent };

  it('of a client that is not trusted is not obeyed, either way', () => {
    expect(flagsOf(arrive(asking, { by: tracing({ ratio: 0 }) }))).toBe(0);
    expect(flagsOf(arrive(declining, { by: tracing({ ratio: 1 }) }))).toBe(1);
    expect(flagsOf(arrive({ b3: '1' }, { by: tracing({ ratio: 0 }) }))).toBe(0);
    expect(flagsOf(arrive({ 'x-b3-flags': '1' }, { by: tracing({ ratio: 0 }) }))).toBe(0);
  });

  it('of a trusted peer is obeyed, either way', () => {
    expect(flagsOf(arrive(asking, { trustedPeer: true, by: tracing({ ratio: 0 }) }))).toBe(1);
    expect(flagsOf(arrive(declining, { trustedPeer: true, by: tracing({ ratio: 1 }) }))).toBe(0);
  });

  it.each<[Headers, number]>([
    [{ b3: '1' }, 1],
    [{ b3: 'd' }, 1],
    [{ b3: '0' }, 0],
    [{ b3: `${traceId}-${parentId}-0` }, 0],
    [{ b3: `${traceId}-${parentId}-d` }, 1],
    [{ 'x-b3-sampled': '0' }, 0],
    [{ 'x-b3-sampled': 'true' }, 1],
    [{ 'x-b3-flags': '1', 'x-b3-sampled': '0' }, 1],
    [{ 'x-b3-traceid': traceId, 'x-b3-spanid': parentId, 'x-b3-sampled': '0' }, 0],
  ])('of a trusted peer may come by B3: %j', (headers, expected) => {
    expect(flagsOf(arrive(headers, { trustedPeer: true, by: tracing({ ratio: 1 - expected }) }))).toBe(expected);
  });

  it('is left to the ratio where a trusted peer defers it', () => {
    const deferring = { b3: `${traceId}-${parentId}` };
    expect(flagsOf(arrive(deferring, { trustedPeer: true, by: tracing({ ratio: 1 }) }))).toBe(1);
    expect(flagsOf(arrive(deferring, { trustedPeer: true, by: tracing({ ratio: 0 }) }))).toBe(0);
  });

  it('is the same at every hop for one trace, and wider ratios contain narrower ones', () => {
    const [entry, next, generous] = [tracing({ ratio: 0.1 }), tracing({ ratio: 0.1 }), tracing({ ratio: 0.5 })];
    for (let i = 0; i < 2000; i++) {
      const first = arrive({}, { by: entry });
      const headers = sent(first, {}, entry);
      expect(flagsOf(arrive(headers, { by: next }))).toBe(flagsOf(first));
      if (flagsOf(first) === 1) expect(flagsOf(arrive(headers, { by: generous }))).toBe(1);
    }
  });

  it('takes the share that the ratio says', () => {
    const by = tracing({ ratio: 0.25 });
    let sampled = 0;
    for (let i = 0; i < 20_000; i++) sampled += flagsOf(arrive({}, { by }));
    // Eight standard deviations of a binomial distribution.
    expect(Math.abs(sampled - 5000)).toBeLessThan(8 * Math.sqrt(20_000 * 0.25 * 0.75));
  });

  it('records nothing without a receiver, but is sent on', () => {
    const span = arrive({}, { by: tracing({ ratio: 1 }) });
    expect(span.sampled).toBe(false);
    expect(sent(span).traceparent).toMatch(/-03$/);
  });

  it('against sampling makes no child spans', () => {
    const span = arrive({});
    expect(span.child('call', 'client')).toBe(span);
  });
});

describe.each(['buffered', 'streamed'] as const)('Over the wire, %s', (form) => {
  let service: TestUpstream;
  let gateway: TestGateway;
  let trusting: TestGateway;
  let single: TestGateway;

  beforeAll(async () => {
    service = await startUpstream((_request, response) => void response.end('ok'));
    const start = (config: Record<string, object>) =>
      startGateway({
        upstreams: { service: { endpoints: [service.url] } },
        routes: [{ path: '/p', upstream: 'service' }],
        ...config,
      });
    gateway = await start({ telemetry: { sampleRatio: 0 } });
    trusting = await start({ telemetry: { sampleRatio: 0 }, listen: { trustedProxies: ['127.0.0.1'] } });
    single = await start({ telemetry: { sampleRatio: 0, propagation: ['b3-single'] } });
  });

  afterAll(async () => {
    for (const one of [gateway, trusting, single]) await one.stop();
    await service.close();
  });

  /** What the service gets of what a client sends; each line is one of the head's. */
  async function arrives(by: TestGateway, ...lines: string[]) {
    const [method, length, body] =
      form === 'buffered' ? ['GET', [], ''] : ['POST', ['Content-Length: 100000'], 'x'.repeat(100_000)];
    const client = await RawClient.connect(by.url);
    client.head(`${method} /p HTTP/1.1`, 'Host: x', 'Connection: close', ...length, ...lines).write(body);
    const answer = await client.end();
    const { headers } = service.requests.at(-1)!;
    // A client finds its trace by what it is answered (Trace Context 2 §3.2 has the form).
    const answered = /\r\ntraceparent: 00-([0-9a-f]{32})-/.exec(answer)?.[1];
    const told = (headers.traceparent as string | undefined)?.slice(3, 35) ?? String(headers.b3).slice(0, 32);
    expect(answered).toBe(told);
    return headers;
  }

  it('a trace goes on, its state whole and in order (§3.3.2)', async () => {
    const headers = await arrives(
      gateway,
      `Traceparent: ${traceparent}`,
      'tracestate: foo=1 , bar=2',
      'TraceState:',
      'tracestate: baz=3',
    );
    expect(headers.traceparent).toMatch(new RegExp(`^00-${traceId}-(?!${parentId})[0-9a-f]{16}-00$`));
    expect(headers.tracestate).toBe('foo=1,bar=2,baz=3');
    expect(headers).toMatchObject({ 'x-b3-traceid': traceId, 'x-b3-sampled': '0' });
    expect(headers['x-b3-spanid']).toBe(String(headers.traceparent).slice(36, 52));
  });

  it.each([
    ['two parents (§3.2)', [`traceparent: ${traceparent}`, `traceparent: ${traceparent}`]],
    ['a broken parent', ['traceparent: 00-1-2-3']],
    ['version ff', [`traceparent: ff-${traceId}-${parentId}-00`]],
    ['no parent', []],
  ])('%s: a new trace without the state, and with the random flag', async (_, lines) => {
    const headers = await arrives(gateway, ...lines, 'tracestate: foo=1', `x-b3-traceid: ${traceId}`);
    expect(headers.traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-02$/);
    expect(headers.traceparent).not.toContain(traceId);
    expect(headers).not.toHaveProperty('tracestate');
  });

  it('the sampled flag is obeyed of a trusted peer, and of nobody else (§3.2.2.5.1)', async () => {
    const asking = `traceparent: 00-${traceId}-${parentId}-03`;
    expect((await arrives(gateway, asking)).traceparent).toMatch(/-02$/);
    const headers = await arrives(trusting, asking);
    expect(headers.traceparent).toMatch(/-03$/);
    expect(headers['x-b3-sampled']).toBe('1');
  });

  it('what goes on is what `telemetry.propagation` says, and nothing that the client sent beside it', async () => {
    const headers = await arrives(
      single,
      `traceparent: ${traceparent}`,
      'tracestate: foo=1',
      `X-B3-TraceId: ${traceId}`,
      `X-B3-SpanId: ${parentId}`,
      'X-B3-ParentSpanId: 0000000000000001',
      'X-B3-Flags: 1',
    );
    expect(headers.b3).toMatch(new RegExp(`^${traceId}-[0-9a-f]{16}-0$`));
    expect(Object.keys(headers).filter((name) => /^x-b3|^trace/.test(name))).toEqual([]);
  });
});
