import { describe, expect, test } from 'vitest';
import type { Outcome } from '../support/program.ts';
import { createProject } from './project.ts';

const decided = {
  timeout: '2s',
  retry: '{ attempts: 1 }',
  breaker: '{ failures: 5 }',
  health: '{ path: /health }',
};

/** One upstream with these settings, and a route to it. */
function check(settings: Readonly<Record<string, string>>, route = ''): Promise<Outcome> {
  const upstream = Object.entries(settings).map(([key, value]) => `, ${key}: ${value}`);
  const yaml = `upstreams:
  stock: { endpoints: [http://127.0.0.1:9]${upstream.join('')} }
routes:
  - { path: /stock, upstream: stock${route} }
`;
  return createProject({ 'my.yaml': yaml }).weir('check', '--config', 'my.yaml', '--production');
}

describe('weir check --production', { timeout: 60_000 }, () => {
  test('is content where everything is decided on', async () => {
    expect(await check(decided)).toEqual({
      status: 0,
      stdout: 'my.yaml is sound: 1 upstream, 1 route, 0 modules.\n',
      stderr: '',
    });
  });

  test.each(Object.keys(decided))('misses %s of an upstream', async (key) => {
    const { [key]: _left, ...rest } = decided as Readonly<Record<string, string>>;
    const { status, stderr } = await check(rest, ', timeout: 1s');
    expect(status).toBe(1);
    expect(stderr).toBe(
      `error: upstreams.stock.${key} is not set; write it in my.yaml or in the module, even if it is the default.\n`,
    );
  });

  test('misses the timeout of a route, unless its upstream has one', async () => {
    const { timeout: _left, ...rest } = decided;
    const { status, stderr } = await check(rest);
    expect(status).toBe(1);
    expect(stderr).toContain(
      "error: The route /stock (my.yaml:4) has no timeout, and neither has its upstream 'stock'.\n",
    );
  });

  test('takes what a module has decided on for decided', async () => {
    const settings = Object.entries({ ...decided, timeout: "'2s'", health: "{ path: '/health' }" });
    const project = createProject({
      'gateway.yaml': 'modules: ./resolvers\nupstreams: { stock: { endpoints: [http://127.0.0.1:9] } }\n',
      'resolvers/registry.ts': `import { defineModule, defineUpstream } from 'weir';

const upstream = defineUpstream(import.meta, { ${settings.map(([key, value]) => `${key}: ${value}`).join(', ')} });

export const modules = [defineModule({ name: 'stock', owner: 'team-stock', upstreams: { stock: upstream } })];
`,
    });
    expect(await project.weir('check', '--production')).toMatchObject({ status: 0, stderr: '' });
  });

  test('misses the timeout of a route that code answers', async () => {
    const project = createProject({
      'gateway.yaml': 'modules: ./resolvers\n',
      'resolvers/registry.ts': `import { defineModule } from 'weir';

const routes = (route) => [
  route.get('/slow', { answer: () => ({}) }),
  route.get('/quick', { timeout: '1s', answer: () => ({}) }),
];

export const modules = [defineModule({ name: 'home', owner: 'team-home', routes })];
`,
    });
    const { status, stderr } = await project.weir('check', '--production');
    expect([status, stderr.match(/The route \S+ .* no timeout/g)]).toEqual([
      1,
      [expect.stringMatching(/^The route \/slow \(.*\) is answered by code and has no timeout$/)],
    ]);
  });

  test('tells all that is missing at once, for every upstream', async () => {
    const yaml = 'upstreams:\n  a: { endpoints: [http://127.0.0.1:9] }\n  b: { endpoints: [http://127.0.0.1:9] }\n';
    const { stderr } = await createProject({ 'gateway.yaml': yaml }).weir('check', '--production');
    const missing = ['a', 'b'].flatMap((name) => Object.keys(decided).map((key) => `upstreams.${name}.${key}`));
    expect(stderr.match(/upstreams\.\S+/g)).toEqual(missing);
  });
});
