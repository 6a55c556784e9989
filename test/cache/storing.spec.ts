import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cacheControl, targetedControl } from '#upstreams/cache/directives.ts';
import { byteRange } from '#upstreams/cache/ask.ts';
import { httpDate } from '#upstreams/cache/http-date.ts';
import type { Headers } from '#core/headers.ts';
import { forOneOnly } from '#upstreams/cache/private.ts';
import { storing } from '#upstreams/cache/storing.ts';
import { rulesOf, type CacheRules } from '#upstreams/cache/settings.ts';
import { groupsOf } from '#upstreams/cache/tags.ts';
import { selecting, variedBy } from '#upstreams/cache/vary.ts';

const nowMs = Date.parse('2026-11-21T12:00:00Z');
const date = new Date(nowMs).toUTCString();
const later = (seconds: number) => new Date(nowMs + seconds * 1000).toUTCString();

function judged(
  headers: Record<string, string | string[]>,
  rules: CacheRules = {},
  { status = 200, identified = false } = {},
) {
  return storing({ status, headers: { date, ...headers }, askedMs: nowMs, nowMs, identified }, rules);
}

const control = (value: string, rules?: CacheRules, facts?: { status?: number; identified?: boolean }) =>
  judged({ 'cache-control': value }, rules, facts);

describe('How long an answer is fresh', () => {
  test.each([
    ['max-age', { 'cache-control': 'max-age=60' }, 60],
    ['s-maxage before max-age (RFC 9111 §5.2.2.10)', { 'cache-control': 'max-age=60, s-maxage=10' }, 10],
    [
      'CDN-Cache-Control before all (RFC 9213 §2.2)',
      { 'cdn-cache-control': 'max-age=5', 'cache-control': 's-maxage=9' },
      5,
    ],
    ['Expires less Date (RFC 9111 §4.2.1)', { expires: later(30) }, 30],
    ['max-age before Expires (RFC 9111 §5.3)', { 'cache-control': 'max-age=60', expires: later(1) }, 60],
    ['a quoted number (RFC 9111 §5.2)', { 'cache-control': 'max-age="60"' }, 60],
    ['the first of two (RFC 9111 §4.2.1)', { 'cache-control': 'max-age=60, max-age=5' }, 60],
    ['at most 68 years (RFC 9111 §1.2.2)', { 'cache-control': 'max-age=99999999999' }, 2 ** 31],
  ])('is said by %s', (_, headers, seconds) => {
    expect(judged(headers)?.lifetimeMs).toBe(seconds * 1000);
  });

  test.each([
    ['a max-age that is no number', { 'cache-control': "max-age='60'", etag: '"1"' }],
    ['an Expires that is no date (RFC 9111 §5.3)', { expires: '0', etag: '"1"' }],
  ])('is not at all after %s', (_, headers) => {
    expect(judged(headers)?.lifetimeMs).toBe(0);
  });

  test('is guessed from Last-Modified only where the configuration asks for it (RFC 9111 §4.2.2)', () => {
    const headers = { 'last-modified': later(-1000) };
    expect(judged(headers)).toBeUndefined();
    expect(judged(headers, { heuristic: true })?.lifetimeMs).toBe(100_000);
    expect(judged(headers, { heuristic: true }, { status: 503 })).toBeUndefined();
  });

  test('counts from when it was made: Age, Date, and the time on the way (RFC 9111 §4.2.3)', () => {
    const made = (headers: Record<string, string>) =>
      nowMs - judged({ 'cache-control': 'max-age=60', ...headers })!.bornMs;
    expect(made({ age: '30' })).toBe(30_000);
    expect(made({ date: later(-20) })).toBe(20_000);
    expect(made({ age: '7, 100' })).toBe(7_000);
    expect(made({ age: 'old' })).toBe(0);
    const slow = storing(
      {
        status: 200,
        headers: { date, 'cache-control': 'max-age=60' },
        askedMs: nowMs - 4000,
        nowMs,
        identified: false,
      },
      {},
    );
    expect(nowMs - slow!.bornMs).toBe(4000);
  });

  test('is what the route says only where the upstream says nothing', () => {
    const rules = { ttl: 5000, staleWhileRevalidate: 1000, staleIfError: 2000 };
    expect(judged({}, rules)).toMatchObject({ lifetimeMs: 5000, staleWhileRevalidateMs: 1000, staleIfErrorMs: 2000 });
    expect(control('max-age=60, stale-if-error=7', rules)).toMatchObject({ lifetimeMs: 60_000, staleIfErrorMs: 7000 });
    expect(control('no-store', rules)).toBeUndefined();
    expect(control('private', rules)).toBeUndefined();
    expect(control('no-cache', rules)).toBeUndefined();
    expect(judged({}, rules, { status: 500 })).toBeUndefined();
    expect(control('must-revalidate', rules)).toMatchObject({ staleWhileRevalidateMs: 0, staleIfErrorMs: 0 });
    expect(control('s-maxage=9', rules)).toMatchObject({ staleWhileRevalidateMs: 0, staleIfErrorMs: 0 });
    expect(control('s-maxage=9, stale-if-error=3', rules)).toMatchObject({ staleIfErrorMs: 3000 });
  });
});

describe('What is stored', () => {
  test.each([
    ['no-store (RFC 9111 §5.2.2.5)', { 'cache-control': 'no-store, max-age=60' }],
    ['private (RFC 9111 §5.2.2.7)', { 'cache-control': 'private, max-age=60' }],
    ['Vary: * (RFC 9111 §4.1)', { 'cache-control': 'max-age=60', vary: 'accept, *' }],
    ['Vary on what differs for each request', { 'cache-control': 'max-age=60', vary: 'X-Request-Id' }],
    ['a cookie, which is somebody’s', { 'cache-control': 'max-age=60', 'set-cookie': 'a=b' }],
    ['a stream of events', { 'cache-control': 'max-age=60', 'content-type': 'text/event-stream' }],
    ['a quotation that never ends and may hide no-store', { 'cache-control': 'max-age=60, x="no-store' }],
    ['nothing that allows it', {}],
    ['neither time nor validator', { 'cache-control': 'max-age=0' }],
    ['a partial answer', { 'cache-control': 'max-age=60', 'content-range': 'bytes 0-1/2' }, 206],
    [
      'must-understand with a status that is not (RFC 9111 §5.2.2.3)',
      { 'cache-control': 'max-age=60, must-understand' },
      599,
    ],
  ])('is nothing with %s', (_, headers, status = 200) => {
    expect(judged(headers, {}, { status })).toBeUndefined();
  });

  test('is an answer with a cookie that is said to be for all', () => {
    expect(judged({ 'cache-control': 'public, max-age=60', 'set-cookie': 'lang=de' })).toBeDefined();
  });

  test('is must-understand with a status that is understood, in spite of no-store (RFC 9111 §5.2.2.3)', () => {
    expect(control('max-age=60, must-understand, no-store')).toBeDefined();
  });

  test('leaves out fields of the connection, and those that no-cache and private name (RFC 9111 §3.1)', () => {
    const stored = judged({
      'cache-control': 'max-age=60, no-cache="a", private="B, c"',
      connection: 'd',
      'keep-alive': 'x',
      a: '1',
      b: '2',
      c: '3',
      d: '4',
      e: '5',
    });
    expect(stored?.noCache).toBe(false);
    expect(Object.keys(stored!.headers).toSorted()).toEqual(['cache-control', 'date', 'e']);
  });
});

describe('Who may be given it, once the upstream was shown who asks (RFC 9111 §3.5)', () => {
  test.each([
    ['max-age=60', {}, false],
    ['max-age=60, public', {}, true],
    ['s-maxage=60', {}, true],
    ['max-age=60, must-revalidate', {}, true],
    ['max-age=60', { scope: 'shared' }, false],
    ['max-age=60, public', { scope: 'consumer' }, false],
    ['max-age=60, public', { scope: 'subject' }, false],
  ] as const)('%s, scope %o: shared is %s', (value, rules, shared) => {
    expect(control(value, rules, { identified: true })?.shared).toBe(shared);
    expect(control(value, rules, { identified: false })?.shared).toBe(
      shared || !('scope' in rules) || rules.scope === 'shared',
    );
  });
});

/** What the directives of a field are. Their names are parts of it. */
function saidBy(field: string): ReadonlyMap<string, string | undefined> {
  const directives = cacheControl(field);
  const said = new Map<string, string | undefined>();
  for (let start = 0; start < field.length; start++)
    for (let end = start + 1; end <= field.length; end++) {
      const name = field.slice(start, end).toLowerCase();
      if (directives.has(name)) said.set(name, directives.argument(name));
    }
  if (directives.has('no-store')) said.set('no-store', directives.argument('no-store'));
  return said;
}

/** The same, read from quotations, commas and what is between them. */
function byGrammar(field: string): ReadonlyMap<string, string> {
  const said = new Map<string, string>();
  let parts: string[] = [];
  const end = (): void => {
    const [first = '', quoted, after = ''] = parts;
    const whole = quoted === undefined ? first.trim() : first.trimStart();
    const [name = '', ...rest] = whole.split('=');
    const fits = name !== '' && !/[\s"]/.test(whole) && after.trim() === '' && parts.length < 4;
    const argument = quoted === undefined ? rest.join('=') : quoted.slice(1, -1).replaceAll(/\\(.)/g, '$1');
    const isPair = rest.length === 1 && rest[0] === '';
    if (fits && (quoted === undefined || isPair) && !said.has(name.toLowerCase()))
      said.set(name.toLowerCase(), argument);
    parts = [];
  };
  for (const [part] of field.matchAll(/"(?:[^"\\]|\\.)*"|[^",]+|[",]/g)) {
    if (part === '"') return said.set('no-store', '');
    if (part === ',') end();
    else parts.push(part);
  }
  end();
  return said;
}

const mib = 2 ** 20;
const blank = ' '.repeat(mib);

describe('A field that was made to take long to read', () => {
  test.each([
    ['space before a quotation without an end', `max-age=5,${blank}"`, true],
    ['space within a member', `max-age=5, a${blank}b`, false],
    ['tabs behind an argument', `max-age=5, a=b${'\t'.repeat(mib)}"`, true],
    ['quotations one after the other', `max-age=5, ${'""'.repeat(mib)}`, false],
    ['the same, the last without an end', `max-age=5, ${'""'.repeat(mib)}"`, true],
    ['backslashes in a quotation', `max-age=5, a="${'\\\\'.repeat(mib)}"`, false],
    ['the same without an end', `max-age=5, a="${'\\\\'.repeat(mib)}`, true],
    ['a long name', `max-age=5, ${'a'.repeat(mib)}"`, true],
    ['a long token', `max-age=5, a=${'b'.repeat(mib)}"`, true],
    ['a long argument and something behind it', `max-age=5, a="${'b'.repeat(mib)}"c`, false],
    ['equals signs', `max-age=5, ${'='.repeat(mib)}`, false],
    ['commas', `max-age=5${','.repeat(mib)}`, false],
  ])('has the directives that it has, with %s', (_, field, noStore) => {
    const directives = cacheControl(field);
    expect([directives.seconds('max-age'), directives.has('no-store')]).toEqual([5, noStore]);
  });

  test('has what it has beside its parameters, as a dictionary and as a list of groups', () => {
    for (const parameters of [';'.repeat(mib), `;${blank}`, ';a=1 '.repeat(mib)]) {
      expect(targetedControl(`max-age=5${parameters}, private`)?.seconds('max-age')).toBe(5);
      expect(targetedControl(`max-age=5${parameters}"`)).toBeUndefined();
      expect(groupsOf(`"a"${parameters}, "b"`)).toEqual(['a', 'b']);
      expect(groupsOf(`"a"${parameters}"`)).toEqual([]);
    }
  });

  test('loses what is not for one alone, and nothing else', () => {
    const told = (said: string) => forOneOnly({ 'cache-control': said })['cache-control'];
    expect(told(`public${blank}, s-maxage${blank}=${blank}5${blank}, max-age=5`)).toBe('private, max-age=5');
    for (const other of [`s-maxage=${blank}x`, `public${blank}x`]) expect(told(other)).toBe(`private, ${other}`);
  });
});

describe('Reading fields', () => {
  test('takes directives without regard to case, and leaves out what does not fit', () => {
    const directives = cacheControl('Max-Age=5 , NO-CACHE="A, b", x y, private, foo=bar');
    expect(directives.seconds('max-age')).toBe(5);
    expect(directives.fields('no-cache')).toEqual(['a', 'b']);
    expect(directives.whole('private')).toBe(true);
    expect(directives.has('x')).toBe(false);
  });

  test('takes a field of directives by its grammar, whatever it is made of (RFC 9111 §5.2)', () => {
    const piece = fc.constantFrom('a', 'B', 'no-store', '1', '=', '=', '"', '"', '\\', ',', ',', ' ', '\t', ';');
    const text = fc.array(piece, { maxLength: 14 }).map((pieces) => pieces.join(''));
    fc.assert(
      fc.property(text, (field) => {
        expect(saidBy(field)).toEqual(byGrammar(field));
      }),
      { numRuns: 3000 },
    );
  });

  test('takes a targeted field as the dictionary that it is, or leaves it alone (RFC 9213 §2.1)', () => {
    expect(targetedControl('max-age=60;x=1, no-store=?0, private')?.seconds('max-age')).toBe(60);
    expect(targetedControl('no-store=?0, private')?.has('no-store')).toBe(false);
    const wrong = targetedControl('max-age="60", s-maxage=long, stale-if-error, private')!;
    expect(['max-age', 's-maxage', 'stale-if-error', 'private'].filter((name) => wrong.has(name))).toEqual(['private']);
    expect(targetedControl('max-age="60"')).toBeUndefined();
    for (const invalid of ['', 'Max-Age=60', 'max-age=', 'max-age=60 private', '"a"'])
      expect(targetedControl(invalid)).toBeUndefined();
  });

  test('reads the three formats of dates, and nothing else (RFC 9110 §5.6.7)', () => {
    const expected = Date.parse('1994-11-06T08:49:37Z');
    for (const text of ['Sun, 06 Nov 1994 08:49:37 GMT', 'Sunday, 06-Nov-94 08:49:37 GMT', 'Sun Nov  6 08:49:37 1994'])
      expect(httpDate(text, nowMs)).toBe(expected);
    for (const text of ['', '0', '1994-11-06', 'Sun, 06 Nov 1994 08:49:37 CET', 'Sun, 32 Nov 1994 08:49:37 GMT'])
      expect(httpDate(text, nowMs)).toBeUndefined();
  });

  test('compares what selects an answer by what it means (RFC 9111 §4.1)', () => {
    expect(variedBy('B, a ,, b')).toEqual(['a', 'b']);
    const key = (value: string | string[]) => selecting(['accept-language'], { 'accept-language': value });
    expect(key('en, DE')).toBe(key(['de', 'en']));
    expect(key('en, de;q=0.5')).not.toBe(key('en, de'));
    const other = (value?: string) => selecting(['foo'], { foo: value });
    expect(other('1,2')).toBe(other(' 1, 2 '));
    expect(other('1, 2')).not.toBe(other('2, 1'));
    expect(other()).not.toBe(other(''));
  });

  test('takes no field of a request for one that every object has', () => {
    for (const name of ['constructor', '__proto__', 'tostring', 'hasOwnProperty'])
      expect(selecting(variedBy(name)!, { host: 'a' })).toBe(selecting(['foo'], {}));
  });

  test('what is for one alone says so to caches, and keeps what browsers go by (RFC 9111 §5.2.2.7)', () => {
    const told = (headers: Headers) => forOneOnly(headers)['cache-control'];
    expect(told({})).toBe('private');
    expect(told({ 'cache-control': 'max-age=60' })).toBe('private, max-age=60');
    expect(told({ 'cache-control': 'public, max-age=60,s-maxage=600, must-revalidate' })).toBe(
      'private, max-age=60, must-revalidate',
    );
    expect(told({ 'cache-control': 'S-MaxAge="60", Public' })).toBe('private');
    expect(told({ 'cache-control': ['public', 'max-age=1'] })).toBe('private, max-age=1');
    expect(told({ 'cache-control': 'x-public=1, max-age=60' })).toBe('private, x-public=1, max-age=60');
    expect(forOneOnly({ etag: '"1"', 'cdn-cache-control': 'max-age=60' })).toEqual({
      etag: '"1"',
      'cache-control': 'private',
    });
  });

  test('cuts one range of bytes and leaves others alone (RFC 9110 §14.1.2)', () => {
    expect(byteRange('bytes=0-1', 10)).toEqual({ first: 0, last: 1 });
    expect(byteRange('bytes=5-', 10)).toEqual({ first: 5, last: 9 });
    expect(byteRange('bytes=-3', 10)).toEqual({ first: 7, last: 9 });
    expect(byteRange('bytes=8-99', 10)).toEqual({ first: 8, last: 9 });
    for (const range of ['bytes=10-', 'bytes=-0']) expect(byteRange(range, 10)).toBe('unsatisfiable');
    for (const range of ['bytes=0-1,3-4', 'lines=0-1', 'bytes=5-2', 'bytes=-'])
      expect(byteRange(range, 10)).toBeUndefined();
  });

  test('a route adds to what its upstream says, and either can turn it off', () => {
    expect(rulesOf({ ttl: 1, tags: ['a'] }, { ttl: 2 })).toEqual({ ttl: 2, tags: ['a'] });
    expect(rulesOf(undefined, undefined)).toEqual({});
    expect(rulesOf(false, undefined)).toBe(false);
    expect(rulesOf(false, { ttl: 2 })).toEqual({ ttl: 2 });
    expect(rulesOf({ ttl: 1 }, false)).toBe(false);
  });
});
