import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { parse as parseYaml, stringify } from 'yaml';
import type { WeirError } from '#core/errors.ts';
import type { Identity } from '#core/identity.ts';
import { readClaims } from '#policies/auth/jwt/claims.ts';
import { compileRule } from '#policies/auth/rule.ts';
import { authSchema } from '#policies/auth/settings.ts';
import { createExecution } from '#resolvers/execution.ts';
import { load } from '#resolvers/load.ts';
import { lintSchema } from '#schema/lint.ts';
import { batch } from '#upstreams/loaders/loader.ts';
import { upstreamSchema } from '#upstreams/settings.ts';
import { createProject, type Files } from '../cli/project.ts';
import { byName, moduleOf, newRequest, run, upstreamAt } from '../modules/harness.ts';
import { Certificates } from '../support/certificates.ts';
import { GatewayProgram } from '../support/gateway-program.ts';
import { fencedBlocks, section } from '../support/markdown.ts';
import { startUpstream } from '../support/upstream.ts';

const page = readFileSync(resolve(import.meta.dirname, '../../docs/authentication.md'), 'utf8');
const blocks = fencedBlocks(page);
const yaml = blocks.filter(({ info }) => info === 'yaml');
const sdl = blocks.find(({ info }) => info === 'graphql');

interface Fragment {
  readonly auth?: { readonly jwt?: unknown };
  readonly consumers?: unknown;
  readonly routes?: readonly { readonly upstream: string }[];
}

let files: Files;
const certificates = new Certificates();

beforeAll(() => {
  certificates.authority('clients');
  certificates.certificate('tls', 'clients');
  certificates.certificate('gone', 'clients');
  certificates.withdraw('clients', 'gone');
  files = Object.fromEntries(
    ['tls.crt', 'tls.key', 'clients.crt', 'clients.crl'].map((name) => [name, String(certificates.read(name))]),
  );
});

afterAll(() => certificates.remove());

/** What the page shows of a file, with what it takes for granted: the services, and that tokens can be checked. */
function whole(text: string): string {
  const fragment = parseYaml(text) as Fragment;
  const names = new Set(fragment.routes?.map(({ upstream }) => upstream));
  const service = { endpoints: ['http://127.0.0.1:9'], health: { path: '/health' } };
  const { auth } = parseYaml(yaml[0]!.text) as Fragment;
  return stringify({
    upstreams: Object.fromEntries([...names].map((name) => [name, service])),
    ...fragment,
    auth: { ...auth, ...fragment.auth },
  });
}

describe('docs/authentication.md', () => {
  test.each(yaml)('line $line: the configuration is sound, and nothing warns of it', async ({ text }) => {
    const { status, stdout, stderr } = await createProject({ ...files, 'gateway.yaml': whole(text) }).weir('check');
    expect([status, stdout, stderr]).toEqual([0, expect.stringMatching(/^gateway\.yaml is sound: .*\n$/), '']);
  });

  test('its SDL compiles, and its fields are for who meets it, before any upstream is called', async () => {
    const service = await startUpstream((_request, response) => {
      response.setHeader('content-type', 'application/json');
      response.end('[{"id":"7","userId":"1"}]');
    });
    onTestFinished(() => service.close());
    const before = `
      extend type Query { user: User invoice: Invoice }
      type User { id: ID! }
      type Order { id: ID! }
      input OrderInput { id: ID! }
    `;
    interface Parts {
      readonly clients: { readonly orders: { get(path: string): Promise<object[]> } };
    }
    const module = moduleOf('page', before + sdl!.text, {
      upstreams: { orders: {} },
      loaders: ({ clients }: Parts) => ({
        byUser: batch({ maxBatchSize: 100 }, async (ids) => {
          const found = await clients.orders.get('/orders');
          return ids.map(() => found);
        }),
      }),
      resolvers: {
        Query: { user: () => ({ id: '1', email: 'a@example.com' }), invoice: () => ({ total: 12 }) },
        User: { orders: load('byUser', { key: (user) => (user as { id: string }).id }) },
        Mutation: { placeOrder: () => ({ id: '8' }) },
      },
    });
    const execution = createExecution([module], byName(upstreamAt('orders', service.url)));
    expect(lintSchema(execution.schema).filter(({ severity }) => severity === 'error')).toEqual([]);
    const as = async (who: Partial<Identity>, source: string) => {
      const request = newRequest();
      request.identity = { ...request.identity, ...who };
      const { data, errors } = await run(execution, source, request);
      return { data, errors: errors.map(({ path, error }) => [String(path), (error as WeirError).code]) };
    };
    const query = '{ user { email orders { id } } invoice { total } }';
    const mutation = 'mutation { placeOrder(input: { id: "8" }) { id } }';
    expect(await as({}, query)).toEqual({
      data: { user: { email: null, orders: null }, invoice: null },
      errors: [
        ['user,email', 'UNAUTHENTICATED'],
        ['user,orders', 'UNAUTHENTICATED'],
        ['invoice', 'UNAUTHENTICATED'],
      ],
    });
    expect(await as({}, mutation)).toMatchObject({ errors: [['placeOrder', 'UNAUTHENTICATED']] });
    expect(await as({ credential: 'apiKey' }, query)).toMatchObject({
      data: { user: { email: 'a@example.com', orders: null }, invoice: null },
      errors: [
        ['user,orders', 'FORBIDDEN'],
        ['invoice', 'FORBIDDEN'],
      ],
    });
    expect(service.requests).toEqual([]);
    const all = { credential: 'jwt', scopes: ['orders:read'], roles: ['accounting'] } as const;
    expect(await as(all, query)).toEqual({
      data: { user: { email: 'a@example.com', orders: [{ id: '7' }] }, invoice: { total: 12 } },
      errors: [],
    });
    expect(await as(all, mutation)).toEqual({ data: { placeOrder: { id: '8' } }, errors: [] });
  });

  test('its table of rules names what a rule knows, and each of it is known', () => {
    const rows = tableOf(section(page, 'Rules'));
    expect(rows.map(([name]) => name)).toEqual(['`consumer`', '`claims`', '`request`']);
    for (const [name, what] of rows) {
      if (name === '`claims`') continue;
      for (const [, member] of what!.matchAll(/`(\w+)`/g)) {
        const known = `${name!.replaceAll('`', '')}.${member}`;
        expect(compileRule(`${known} == ${known}`), known).not.toHaveProperty('problem');
      }
    }
    expect(compileRule('consumer.nothing == 1')).toHaveProperty('problem');
  });

  test('its table of identities names what upstreams.NAME.identity takes, and the default', () => {
    const rows = tableOf(section(page, 'What reaches upstreams')).map(([name]) => name!);
    expect(rows).toHaveLength(4);
    for (const row of rows) {
      const value = parseYaml(/`(.*?)`/.exec(row)![1]!.replace('…', '"Basic abc"')) as string;
      expect(upstreamSchema.parse({ endpoints: ['http://a'], identity: value }).identity, row).toBeDefined();
    }
    const fallback = upstreamSchema.parse({ endpoints: ['http://a'] }).identity;
    expect(rows.filter((row) => row.includes('default'))).toEqual([`\`${fallback as string}\` (default)`]);
  });

  test('says how long things last as the defaults have it', () => {
    const { jwt, introspection } = authSchema.parse({
      jwt: [{ issuer: 'https://id.example.com', audience: 'weir' }],
      introspection: { url: 'https://id.example.com/introspect', clientId: 'weir', clientSecret: 's' },
    });
    expect(jwt[0]!.refresh).toBe(5 * 60_000);
    expect(introspection!.ttl).toBe(30_000);
    expect(page).toContain('`refresh`, 5 minutes unless set');
    expect(page).toContain('`ttl`, 30 seconds unless set');
    expect(page).toContain('read again every five minutes');
  });

  /** Claims as the documentation of each shows them. */
  const recipes = {
    Keycloak: [
      { azp: 'shop-web', sub: 'u-1', scope: 'openid orders:read', realm_access: { roles: ['partner'] } },
      { consumer: 'shop-web', subject: 'u-1', roles: ['partner'], scopes: ['openid', 'orders:read'] },
    ],
    Auth0: [
      { azp: 'CLIENT', sub: 'auth0|1', scope: 'openid', permissions: ['orders:read'] },
      { consumer: 'CLIENT', subject: 'auth0|1', roles: [], scopes: ['orders:read'] },
    ],
    'Entra ID': [
      { azp: 'app', oid: 'user', sub: 'pairwise', scp: 'orders.read orders.write', roles: ['Partner'] },
      { consumer: 'app', subject: 'user', roles: ['Partner'], scopes: ['orders.read', 'orders.write'] },
    ],
    Okta: [
      { cid: '0oa1', sub: 'anna@example.com', scp: ['orders:read'], groups: ['partners'] },
      { consumer: '0oa1', subject: 'anna@example.com', roles: ['partners'], scopes: ['orders:read'] },
    ],
    'Kubernetes service accounts': [
      { sub: 'system:serviceaccount:shop:worker' },
      {
        consumer: 'system:serviceaccount:shop:worker',
        subject: 'system:serviceaccount:shop:worker',
        roles: [],
        scopes: [],
      },
    ],
  } as const;

  test.each(Object.entries(recipes))('its recipe for %s reads what such a token says', (name, [claims, identity]) => {
    const recipe = yaml.find(({ prose }) => prose.includes(`**${name}.**`));
    const { auth } = parseYaml(recipe!.text) as Fragment;
    const { jwt } = authSchema.parse(auth);
    expect(readClaims(claims, jwt[0]!.claims)).toEqual({ ...identity, tier: undefined });
  });
});

describe('weir check, of authentication', () => {
  const check = async (config: object, more: Files = {}) => {
    const upstreams = { things: { endpoints: ['http://127.0.0.1:9'], health: { path: '/health' } } };
    const text = stringify({ upstreams, ...config });
    const { status, stdout } = await createProject({ 'gateway.yaml': text, ...more }).weir('check');
    expect(status).toBe(0);
    return stdout.split('\n').filter((line) => line.startsWith('warning: '));
  };
  const route = (auth: unknown) => ({ routes: [{ path: '/things', upstream: 'things', auth }] });
  const keys = [`sha256:${'0'.repeat(64)}`];

  test('warns of client certificates that nobody is asked for', async () => {
    expect(await check({ auth: { mtls: {} } })).toEqual([
      expect.stringMatching(/^warning: auth\.mtls \(gateway\.yaml:\d+\) is set, but .* listen\.tls\.clientCa too/),
    ]);
    const tls = { cert: './tls.crt', key: './tls.key', clientCa: './clients.crt' };
    expect(await check({ auth: { mtls: {} }, listen: { tls } }, files)).toEqual([]);
  });

  test.each([
    ['scopes', { mode: 'optional', scopes: { any: ['a'] } }, 'scopes'],
    ['roles', { roles: ['a'] }, 'roles'],
    ['somebody', 'required', 'a credential'],
  ])('warns of a route that asks for %s while nothing could check a credential', async (_, auth, demand) => {
    expect(await check(route(auth))).toEqual([
      expect.stringMatching(
        new RegExp(`^warning: The route /things \\(gateway.yaml:\\d+\\) asks for ${demand}, but .* refuses everybody`),
      ),
    ]);
    expect(await check({ ...route(auth), consumers: [{ id: 'acme', keys }] })).toEqual([]);
    expect(await check({ ...route(auth), redis: { url: 'redis://127.0.0.1:1' } })).toEqual([]);
  });

  test('warns of a route that accepts no kind that could be checked', async () => {
    const consumers = [{ id: 'acme', keys }];
    expect(await check({ ...route({ accept: ['jwt', 'mtls'] }), consumers })).toEqual([
      expect.stringContaining('of the kinds it accepts (jwt, mtls), so it refuses everybody'),
    ]);
    expect(await check({ ...route({ accept: ['jwt', 'apiKey'] }), consumers })).toEqual([]);
  });

  test(
    'warns of fields that ask for somebody, once, while nothing could check any credential',
    { timeout: 60_000 },
    async () => {
      const modules = resolve('test/fixtures/guarded');
      const upstreams = { vault: { endpoints: ['http://127.0.0.1:9'], health: { path: '/health' } } };
      const project = { modules, upstreams };
      expect(await check(project)).toContainEqual(
        expect.stringMatching(
          /^warning: Query\.private and \d+ more of the schema ask for a credential .* nobody can read them\. Write auth\.jwt, /,
        ),
      );
      const some = await check({ ...project, consumers: [{ id: 'acme', keys }] });
      // A key can be checked now; what takes tokens alone is out of reach still.
      expect(some.filter((line) => line.includes('credential'))).toEqual([
        expect.stringMatching(/^warning: Query\.byToken of the schema asks for a credential /),
      ]);
    },
  );

  test('a start writes the same into the log', { timeout: 60_000 }, async () => {
    const routes = [{ path: '/things', upstream: 'things', auth: 'required' }];
    const gateway = await GatewayProgram.start({
      upstreams: { things: { endpoints: ['http://127.0.0.1:9'] } },
      routes,
    });
    try {
      const { level, warning } = await gateway.logged(({ msg }) => msg === 'auth');
      expect([level, warning]).toEqual(['warn', expect.stringContaining('The route /things')]);
    } finally {
      gateway.kill();
    }
  });

  test('warns of /graphql too, and not of what is open', async () => {
    expect(await check({ graphql: { auth: 'required' } })).toEqual([
      expect.stringMatching(/^warning: \/graphql asks for a credential/),
    ]);
    for (const auth of ['optional', 'none', { mode: 'optional', rule: 'request.method == "GET"' }])
      expect(await check(route(auth))).toEqual([]);
  });
});

/** The cells of a section's table, without its head. */
function tableOf(text: string): string[][] {
  const rows = text.split('\n').filter((line) => line.startsWith('|'));
  return rows.slice(2).map((row) => {
    const cells = row.split('|').slice(1, -1);
    return cells.map((cell) => cell.trim());
  });
}
