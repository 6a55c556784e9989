import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readConfigFile, resolveConfig } from '#gateway/config/load.ts';
import type { ModuleDefaults } from '#gateway/config/merge.ts';
import { containing, load, problemsOf } from './problems.ts';

const orders: ModuleDefaults = {
  name: 'orders',
  file: 'resolvers/orders/module.ts',
  upstreams: { orders: { timeout: '3s', retry: { attempts: 1, on: [503] }, health: { path: '/health' } } },
  routes: [{ name: 'orders', path: '/v1/orders{/*rest}', upstream: 'orders' }],
};

const endpoints = 'upstreams: { orders: { endpoints: [http://a] } }';

describe('a module that is wrong', () => {
  it('is named with its file, and its routes are counted as it wrote them', () => {
    const wrong: ModuleDefaults = { ...orders, routes: [...orders.routes, { path: 'x', upstream: 'gone' }] };
    expect(problemsOf(`${endpoints}\nroutes: [{ path: /a, upstream: orders }]`, { modules: [wrong] })).toEqual([
      expect.objectContaining({
        path: 'routes[1].upstream',
        file: 'resolvers/orders/module.ts',
        message: "names 'gone' as its upstream, which nothing defines",
      }),
      expect.objectContaining({
        path: 'routes[1].path',
        file: 'resolvers/orders/module.ts',
        message: 'does not start with a slash',
      }),
    ]);
  });

  it('has an upstream that the file gives no endpoints to', () => {
    expect(problemsOf('listen: {}', { modules: [orders] })).toEqual([
      {
        path: 'upstreams.orders.endpoints',
        file: 'resolvers/orders/module.ts',
        message: 'is missing',
        fix: 'write where it runs under upstreams.orders: endpoints: ["http://HOST:PORT"]',
      },
    ]);
  });

  it('or gives them to a misspelt name', () => {
    const problems = problemsOf('upstreams:\n  ordres: { timeout: 3s }', { modules: [orders] });
    expect(problems[0]).toMatchObject({
      path: 'upstreams.ordres.endpoints',
      line: 2,
      fix: containing('did you mean the upstream orders?'),
    });
  });

  it('defines an upstream that another defines too', () => {
    const other: ModuleDefaults = { ...orders, name: 'billing', file: 'resolvers/billing/module.ts', routes: [] };
    expect(problemsOf(endpoints, { modules: [orders, other] })).toMatchObject([
      {
        path: 'upstreams.orders',
        file: 'resolvers/billing/module.ts',
        message: 'is defined by module orders and module billing',
      },
    ]);
  });

  it('names an upstream that nothing defines', () => {
    const wrong: ModuleDefaults = { ...orders, routes: [{ path: '/orders', upstream: 'orders', mirror: 'ordes' }] };
    expect(problemsOf(endpoints, { modules: [wrong] })).toMatchObject([{ path: 'routes[0].mirror' }]);
  });
});

describe('module defaults', () => {
  it('give way to the file: maps merge, lists replace', () => {
    const text = 'upstreams: { orders: { endpoints: [http://a], retry: { on: [502] }, breaker: { failures: 9 } } }';
    expect(load(text, { modules: [orders] }).config.upstreams.orders).toMatchObject({
      timeout: 3000,
      retry: { attempts: 1, on: [502], backoff: 50 },
      breaker: { failures: 9 },
      health: { path: '/health', every: 5000 },
    });
  });

  it('are given by loaded modules only', () => {
    expect(load(endpoints).config.upstreams.orders).toMatchObject({ timeout: 30_000 });
    expect(load(endpoints).config.routes).toEqual([]);
  });

  it('share one table of routes with the file, each with its origin', () => {
    const { config, sources } = load(`${endpoints}\nroutes:\n  - { path: /a, upstream: orders, replaces: orders }`, {
      modules: [orders],
      file: 'gateway.yaml',
    });
    expect(config.routes.map(({ path }, index) => [path, sources.of(['routes', index])])).toEqual([
      ['/a', 'gateway.yaml:3'],
      ['/v1/orders{/*rest}', 'module orders'],
    ]);
  });

  it('are told apart from what is written and what is not', () => {
    const { sources } = load(`${endpoints}\nlisten: { port: "\${env.PORT}" }`, {
      modules: [orders],
      env: { PORT: '1' },
    });
    expect(sources.of(['upstreams', 'orders', 'timeout'])).toBe('module orders');
    expect(sources.of(['upstreams', 'orders', 'endpoints', 0])).toBe('gateway.yaml:1');
    expect(sources.of(['upstreams', 'orders', 'connectTimeout'])).toBe('default');
    expect(sources.of(['listen', 'port'])).toBe('gateway.yaml:2 ${env.PORT}');
    expect(sources.isWritten(['upstreams', 'orders', 'health'])).toBe(true);
    expect(sources.isWritten(['upstreams', 'orders', 'breaker'])).toBe(false);
  });
});

describe('relative paths', () => {
  let folder = '';

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'weir-config-'));
    mkdirSync(join(folder, 'resolvers'));
    writeFileSync(join(folder, 'ca.crt'), '');
    writeFileSync(join(folder, 'resolvers', 'module.crt'), '');
    writeFileSync(
      join(folder, 'gateway.yaml'),
      'modules: ./resolvers\nupstreams: { a: { endpoints: [https://a], tls: { ca: ca.crt } } }\n',
    );
  });

  afterAll(() => rmSync(folder, { recursive: true }));

  it('start at the folder of whoever wrote them', () => {
    const raw = readConfigFile({ file: join(folder, 'gateway.yaml') });
    expect(raw.modules).toBe(join(folder, 'resolvers'));
    const b: ModuleDefaults = {
      name: 'b',
      file: join(folder, 'resolvers', 'b.ts'),
      upstreams: { b: { endpoints: ['https://b'], tls: { ca: 'module.crt' } } },
      routes: [],
    };
    const { config } = resolveConfig(raw, [b]);
    expect(config.modules).toBe(join(folder, 'resolvers'));
    expect(config.upstreams.a?.tls?.ca).toBe(join(folder, 'ca.crt'));
    expect(config.upstreams.b?.tls?.ca).toBe(join(folder, 'resolvers', 'module.crt'));
  });
});
