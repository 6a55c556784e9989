import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ModuleDefaults } from '#gateway/config/merge.ts';
import { printConfig } from '#gateway/config/print.ts';
import { errorOf, load } from './problems.ts';

const secret = 'correct-horse-battery';
const word = 'hunter2hunter2';
let folder = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'weir-config-'));
  writeFileSync(join(folder, 'secret'), `${secret}\n`);
});

afterAll(() => rmSync(folder, { recursive: true }));

describe('a secret', () => {
  const env = { SECRET: secret, WORD: word };

  it.each([
    ['as a token', `admin: { token: ${secret} }`],
    ['as a token from the environment', 'admin: { token: "${env.SECRET}" }'],
    ['as the default of a variable', `admin: { token: "\${env.GONE:-${secret}}" }`],
    ['from a file', 'telemetry: { serviceName: "${file:./secret}" }'],
    ['from a file, within a text', 'telemetry: { serviceName: "x-${file:./secret}-y" }'],
    [
      'as a header to match',
      `upstreams: { a: { endpoints: [http://a] } }\nroutes: [{ path: /a, upstream: a, match: { headers: { Authorization: Bearer ${secret} } } }]`,
    ],
    ['as the credentials of a URL in a text', `telemetry: { serviceName: "https://user:${secret}@collector" }`],
  ])('%s is never printed', (_, text) => {
    const printed = printConfig(load(text, { env, file: join(folder, 'gateway.yaml') }));
    expect(printed).not.toContain(secret);
    expect(printed).toContain('[redacted]');
  });

  it.each([
    ['a token of the wrong kind', `admin: { host: 1, token: [${secret}] }`],
    ['a file where a duration belongs', 'listen: { drainDelay: "${file:./secret}" }'],
    ['a variable where a size belongs', 'listen: { maxBodyBytes: "${env.SECRET}" }'],
    [
      'a variable where a path belongs',
      'upstreams: { a: { endpoints: [http://a] } }\nroutes: [{ path: "/${env.SECRET}/(", upstream: a }]',
    ],
    ['a file where the name of an upstream belongs', 'routes: [{ path: /a, upstream: "${file:./secret}" }]'],
    ['a file where the name of a folder belongs', 'modules: "${file:./secret}"'],
    ['a variable where the name of an upstream belongs', 'routes: [{ path: /a, upstream: "${env.SECRET}" }]'],
    [
      'a variable where the name of a parameter belongs',
      'routes: [{ path: "/:${env.WORD}/:${env.WORD}", upstream: a }]',
    ],
    ['text that YAML takes for a block', `admin: { token: "" }\ntelemetry: { serviceName: |${secret} }`],
    ['text that YAML takes for a tag', `admin:\n  token: !${secret}`],
    ['the credentials of an endpoint', `upstreams: { a: { endpoints: ["http://user:${secret}@a"] } }`],
    ['the credentials of a receiver', `telemetry: { otlp: "http://user:${secret}@a" }`],
    ['the default of a variable', `listen: { drainDelay: "\${env.GONE:-${secret}}" }`],
    ['an expression that is none', `admin: { token: "\${${secret}}" }`],
  ])('that is %s is in no message', (_, text) => {
    const error = errorOf(text, { env, file: join(folder, 'gateway.yaml') });
    for (const shown of [error.message, JSON.stringify(error.problems)]) {
      expect(shown).not.toContain(secret);
      expect(shown).not.toContain(word);
    }
  });
});

describe('a long text', () => {
  // Read again from each of its letters, it would outlast the test.
  it('is searched for credentials once', () => {
    const long = 'x'.repeat(200_000);
    const printed = printConfig(
      load(`upstreams: { a: { endpoints: [{ url: http://a, labels: { note: ${long} } }] } }`),
    );
    expect(printed).toContain(long);
  });
});

const modules: readonly ModuleDefaults[] = [
  {
    name: 'orders',
    upstreams: { orders: { timeout: '90s', retry: { on: [503] } } },
    routes: [{ path: '/v1/orders{/*rest}', upstream: 'orders', maxBodyBytes: '10MiB' }],
  },
];

const text = `listen: { port: "\${env.PORT}", trustedProxies: [10.0.0.0/8] }
upstreams:
  orders:
    endpoints:
      - http://127.0.0.1:5002
      - { url: http://127.0.0.1:5012, labels: { version: "1.0", note: "a # b" } }
    health: { path: /health }
telemetry: { serviceName: 'a $\${b} "c"' }
`;

function loaded() {
  return load(text, { modules, env: { PORT: '4010' } });
}

describe('the effective configuration', () => {
  it('says of each value where it came from', () => {
    const lines = printConfig(loaded())
      .split('\n')
      .map((line) => line.trim());
    expect(lines).toEqual(
      expect.arrayContaining([
        'host: 127.0.0.1 # default',
        'port: 4010 # gateway.yaml:1 ${env.PORT}',
        'trustedProxies: [10.0.0.0/8] # gateway.yaml:1',
        'headersTimeout: 10s # default',
        'maxHeaderBytes: 16KiB # default',
        '- http://127.0.0.1:5002 # gateway.yaml:5',
        'timeout: 90s # module orders',
        'on: [503] # module orders',
        'path: /health # gateway.yaml:7',
        'every: 5s # default',
        '- path: /v1/orders{/*rest} # module orders',
      ]),
    );
  });

  it('can be loaded again, and means the same', () => {
    const again = load(printConfig(loaded()));
    expect(again.config).toEqual(loaded().config);
    expect(printConfig(again).replaceAll(/#.*/g, '')).toBe(printConfig(loaded()).replaceAll(/#.*/g, ''));
  });

  it('keeps text of several lines in one, so that its source stands beside it', () => {
    const printed = printConfig(
      load('upstreams: { a: { endpoints: [{ url: http://a, labels: { note: "one\\ntwo" } }] } }'),
    );
    expect(printed).toContain('note: "one\\ntwo" # gateway.yaml:1');
  });
});
