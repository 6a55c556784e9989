import { describe, expect, test } from 'vitest';
import { load, problemsOf } from '../config/problems.ts';

const written = (settings: string) => `upstreams: { a: { ${settings} } }`;
const problem = (settings: string) => problemsOf(written(settings))[0];
const endpoints = 'endpoints: [http://a]';

describe('Where endpoints come from', () => {
  test('is written down or discovered: neither is an error', () => {
    expect(problem('timeout: 1s')).toMatchObject({
      path: 'upstreams.a.endpoints',
      message: 'is missing',
    });
  });

  test('and so are both', () => {
    expect(problem(`${endpoints}, discovery: { kind: dns, name: a.test, port: 80 }`)).toMatchObject({
      path: 'upstreams.a.discovery',
      message: 'stands beside endpoints',
      fix: 'decide where addresses come from: remove one of the two',
    });
  });

  test.each([
    ['[http://a, http://b, http://a]', 'upstreams.a.endpoints[2]', 'is endpoints[0] again'],
    ['[http://a:80, { url: http://A/ }]', 'upstreams.a.endpoints[1]', 'is endpoints[0] again'],
  ])('the same endpoint twice is an error: %s', (list, path, message) => {
    expect(problem(`endpoints: ${list}`)).toMatchObject({ path, message });
  });

  test('the same host at other ports or by another scheme is not', () => {
    expect(() => load(written('endpoints: [http://a, http://a:81, https://a]'))).not.toThrow();
  });
});

describe('discovery', () => {
  test.each([
    'kind: dns, name: orders.svc, port: 8080, every: 10s',
    'kind: dns, name: orders.svc., port: 8080, servers: [10.0.0.2, "10.0.0.2:5353", "[fd00::1]:53"], scheme: https',
    'kind: dns-srv, name: _http._tcp.orders.svc, host: orders.example',
    'kind: consul, url: http://127.0.0.1:8500, service: orders, tag: v2, datacenter: dc1, token: x, wait: 1m',
  ])('takes %s', (settings) => {
    expect(() => load(written(`discovery: { ${settings} }`))).not.toThrow();
  });

  test.each([
    ['kind: zookeeper', 'kind', "name one of the kinds: 'dns', 'dns-srv' or 'consul'"],
    ['name: a.test, port: 80', 'kind', undefined],
    ['kind: dns, name: a.test', 'port', undefined],
    ['kind: dns, name: "a b", port: 80', 'name', undefined],
    ['kind: dns, name: a.test, port: 80, servers: [ns.example]', 'servers[0]', undefined],
    ['kind: dns, name: a.test, port: 80, every: 10ms', 'every', undefined],
    ['kind: dns-srv, name: a.test, port: 80', 'port', undefined],
    ['kind: dns-srv, name: a.test, host: "a:80"', 'host', 'write a host name without a port'],
    ['kind: consul, url: "http://127.0.0.1:8500/v1", service: a', 'url', undefined],
    ['kind: consul, url: http://127.0.0.1:8500', 'service', undefined],
    ['kind: consul, url: http://127.0.0.1:8500, service: a, wait: 11m', 'wait', undefined],
    ['kind: consul, url: http://127.0.0.1:8500, service: a, every: 1s', 'every', undefined],
  ])('refuses %s', (settings, key, fix) => {
    const found = problem(`discovery: { ${settings} }`);
    expect(found?.path).toBe(`upstreams.a.discovery.${key}`);
    if (fix !== undefined) expect(found?.fix).toBe(fix);
  });

  test("never shows Consul's token", () => {
    const found = problemsOf(
      written('discovery: { kind: consul, url: http://c, service: a, token: hush-hush, tkoen: hush-hush }'),
    );
    expect(JSON.stringify(found)).not.toContain('hush-hush');
  });
});

describe('balance', () => {
  const balance = (text: string) => load(written(`${endpoints}, balance: ${text}`)).config.upstreams.a?.balance;

  test.each([
    ['round-robin', { by: 'round-robin' }],
    ['least-connections', { by: 'least-connections' }],
    ['{ consistent-hash: { header: X-User } }', { by: 'consistent-hash', key: { from: 'header', name: 'x-user' } }],
    ['{ consistent-hash: { cookie: Session } }', { by: 'consistent-hash', key: { from: 'cookie', name: 'Session' } }],
    ['{ consistent-hash: { consumer: true } }', { by: 'consistent-hash', key: { from: 'consumer' } }],
    ['{ consistent-hash: { ip: true } }', { by: 'consistent-hash', key: { from: 'ip' } }],
    ['{ consistent-hash: consumer }', { by: 'consistent-hash', key: { from: 'consumer' } }],
    ['{ consistent-hash: ip }', { by: 'consistent-hash', key: { from: 'ip' } }],
  ])('takes %s', (text, expected) => {
    expect(balance(text)).toEqual(expected);
  });

  test.each([
    ['random', ''],
    ['consistent-hash', ''],
    ['{ consistent-hash: path }', '.consistent-hash'],
    ['{ consistent-hash: { header: "x user" } }', '.consistent-hash.header'],
    ['{ consistent-hash: { ip: false } }', '.consistent-hash'],
    ['{ consistent-hash: {} }', '.consistent-hash'],
  ])('refuses %s', (text, path) => {
    expect(problem(`${endpoints}, balance: ${text}`)?.path).toContain(`upstreams.a.balance${path}`);
  });
});
