import { describe, expect, it } from 'vitest';
import { containing, errorOf, load, placesOf, problemsOf } from './problems.ts';

/** The one problem of a text that has one. */
function problemOf(text: string) {
  const [problem, ...rest] = problemsOf(text);
  expect(rest).toEqual([]);
  return problem!;
}

describe('a configuration with mistakes', () => {
  it('reports all of them at once, each with its path, line and column', () => {
    const text = `listen: { port: "4000", maxBodyBytes: 5, timout: 3s }
admin:
  host: 0.0.0.0
  prot: 3
upstreams:
  orders:
    endpoints: [http://127.0.0.1:5002, ftp://x]
    timeout: 1x
    breaker:
routes:
  - path: /v1/orders/:id
    upstream: ordes
    rewrite: /x/:nope
    mirror: x
cors: { origins: ["*"], credentials: true }
tiers: 1
listen: {}
`;
    expect(placesOf(problemsOf(text))).toEqual([
      '1:17 listen.port',
      '1:39 listen.maxBodyBytes',
      '1:42 listen.timout',
      '2:1 admin.token',
      '4:3 admin.prot',
      '7:40 upstreams.orders.endpoints[1]',
      '8:14 upstreams.orders.timeout',
      '9:5 upstreams.orders.breaker',
      '12:15 routes[0].upstream',
      '13:14 routes[0].rewrite',
      '14:13 routes[0].mirror',
      '15:38 cors.credentials',
      '16:8 tiers',
      '17:1 listen',
    ]);
  });

  it('says in its message where, what and how to mend it, one line a problem', () => {
    const { message } = errorOf('upstreams:\n  orders:\n    endpoints: [http://a]\n    timeout: 30\nrouts: []\n', {
      file: 'conf/gateway.yaml',
    });
    expect(message.split('\n')).toEqual([
      'The configuration has 2 problems:',
      'conf/gateway.yaml:4:14 upstreams.orders.timeout: expects a duration such as 800ms or 30s, not the number 30. Fix: write the unit too, such as 30ms or 30s.',
      'conf/gateway.yaml:5:1 routs: is an unknown key. Fix: did you mean routes?',
    ]);
  });

  it('says that a cache is shared over a Redis, where none is written', () => {
    expect(problemOf('cache: { redis: true }')).toMatchObject({
      path: 'cache.redis',
      message: 'needs a Redis',
      fix: containing('redis.url'),
    });
    expect(() => load('{ cache: { redis: true }, redis: { url: redis://127.0.0.1 } }')).not.toThrow();
  });

  it('names the file that does not exist', () => {
    const { problems, message } = errorOf('', { text: undefined, file: 'no-such/gateway.yaml' });
    expect(problems).toEqual([
      {
        path: '',
        file: 'no-such/gateway.yaml',
        message: 'the file does not exist',
        fix: containing('--config'),
      },
    ]);
    expect(message).toContain('no-such/gateway.yaml: the file does not exist');
  });
});

describe('a value of the wrong kind', () => {
  it.each([
    ['listen: { port: "4000" }', 'listen.port', 'a whole number from 0 to 65535', 'write 4000 without quotes'],
    ['listen: { port: 70000 }', 'listen.port', 'not the number 70000', 'from 0 to 65535'],
    ['listen: { port: 1.5 }', 'listen.port', 'not the number 1.5', 'a whole number'],
    [
      'listen: { drainDelay: 30 }',
      'listen.drainDelay',
      'expects a duration',
      'write the unit too, such as 30ms or 30s',
    ],
    ['listen: { drainDelay: 3 s }', 'listen.drainDelay', "'3 s' is not accepted", 'a duration such as 800ms or 30s'],
    ['listen: { drainDelay: 11m }', 'listen.drainDelay', 'is out of bounds', 'at most 10m'],
    [
      'listen: { maxBodyBytes: 64 }',
      'listen.maxBodyBytes',
      'expects a size',
      'write the unit too, such as 64KiB or 64MiB',
    ],
    [
      'listen: { maxHeaderBytes: 1MB }',
      'listen.maxHeaderBytes',
      "'1MB' is not accepted",
      'a size such as 64KiB or 1MiB',
    ],
    ['listen: { workers: 0 }', 'listen.workers', 'expects', 'auto'],
    ['listen: { host: "[::1]" }', 'listen.host', 'is not accepted', 'without port and brackets'],
    ['listen: { trustedProxies: [10.0.0.0/33] }', 'listen.trustedProxies[0]', "'10.0.0.0/33'", 'a CIDR block'],
    ['listen: { trustedProxies: [proxy.internal] }', 'listen.trustedProxies[0]', "'proxy.internal'", 'a CIDR block'],
    ['listen: { trustedProxies: 10.0.0.1 }', 'listen.trustedProxies', 'expects a list', 'write a list: [10.0.0.1]'],
    ['listen:', 'listen', 'has no value', 'or remove the key'],
    ['listen: 4000', 'listen', 'expects a map of keys to values, not the number 4000', 'a map'],
    [
      'graphql: { introspection: "yes" }',
      'graphql.introspection',
      'expects true or false',
      'write true, without quotes',
    ],
    ['graphql: { introspection: off }', 'graphql.introspection', "not 'off'", 'write false, without quotes'],
    ['graphql: { path: /graphql/:x }', 'graphql.path', 'is not accepted', 'a plain path'],
    [
      'telemetry: { propagation: [w3c] }',
      'telemetry.propagation[0]',
      "not 'w3c'",
      "'tracecontext', 'b3' or 'b3-single'",
    ],
    ['cors: { origins: [https://a.example/] }', 'cors.origins[0]', 'is not accepted', 'without path'],
    ['cors: { origins: ["https://a.example:443"] }', 'cors.origins[0]', 'is not accepted', 'default port'],
    ['cors: { origins: ["null"] }', 'cors.origins[0]', 'is not accepted', 'an origin as browsers send it'],
    ['cors: { methods: [TRACE] }', 'cors.methods[0]', 'is no method that the gateway passes on', 'GET or POST'],
  ])('%s is refused with the remedy', (text, path, message, fix) => {
    const problem = problemOf(text);
    expect(problem.path).toBe(path);
    expect(problem.message).toContain(message);
    expect(problem.fix).toContain(fix);
  });

  it.each(['127.0.0.1', '127.1.2.3', '::1', 'localhost'])('an admin listener on %s needs no token', (host) => {
    expect(load(`admin: { host: "${host}" }`).config.admin.token).toBe('');
  });

  it.each(['0.0.0.0', '::', '10.0.0.1', 'admin.internal'])('an admin listener on %s needs a token', (host) => {
    expect(problemOf(`admin: { host: "${host}" }`)).toMatchObject({ path: 'admin.token', line: 1, column: 1 });
    expect(load(`admin: { host: "${host}", token: abcdef }`).config.admin.token).toBe('abcdef');
  });
});

describe('a key', () => {
  it.each([
    ['listen: { prot: 4000 }', 'listen.prot', 'did you mean port?'],
    ['graphql: { maxdepth: 3 }', 'graphql.maxdepth', 'did you mean maxDepth?'],
    ['upstream: {}', 'upstream', 'did you mean upstreams?'],
    [
      'upstreams: { a: { endpoints: [{ url: http://a, lables: {} }] } }',
      'upstreams.a.endpoints[0].lables',
      'did you mean labels?',
    ],
    [
      'upstreams: { a: { endpoints: [http://a], retry: { atempts: 1 } } }',
      'upstreams.a.retry.atempts',
      'did you mean attempts?',
    ],
    ['admin: { colour: red }', 'admin.colour', 'remove it; the keys here are host, port, token'],
  ])('that is unknown is refused: %s', (text, path, fix) => {
    expect(problemOf(text)).toMatchObject({ path, message: 'is an unknown key', fix });
  });

  it('that only prototypes have is no key', () => {
    expect(problemOf('__proto__: { polluted: true }')).toMatchObject({
      path: '__proto__',
      line: 1,
      message: 'is no key',
    });
    expect(problemOf('upstreams: { __proto__: { endpoints: [http://a] } }')).toMatchObject({
      path: 'upstreams.__proto__',
    });
    expect(problemOf('listen: { constructor: 1 }')).toMatchObject({
      path: 'listen.constructor',
      message: 'is an unknown key',
    });
    expect('polluted' in {}).toBe(false);
  });

  it('that names an upstream may be one that prototypes have, without becoming one', () => {
    const { upstreams } = load('upstreams: { constructor: { endpoints: [http://a] } }').config;
    expect(Object.hasOwn(upstreams, 'constructor')).toBe(true);
    expect(problemOf('routes: [{ path: /a, upstream: toString }]')).toMatchObject({ path: 'routes[0].upstream' });
  });

  it('that cannot be a name is refused where it stands', () => {
    expect(problemOf('upstreams:\n  "a b": { endpoints: [http://a] }')).toMatchObject({
      path: 'upstreams.a b',
      line: 2,
      column: 3,
    });
  });
});

/** Two routes of one path, the first with the name `one`, the second with what is given. */
function twoRoutes(rest: string): string {
  return `upstreams: { a: { endpoints: [http://a] } }
routes: [{ path: /a, name: one, upstream: a }, { path: /a, upstream: a, ${rest} }]`;
}

describe('a reference', () => {
  it('to an upstream that nothing defines is an error, with the one that was meant', () => {
    const text =
      'upstreams: { orders: { endpoints: [http://a] } }\nroutes: [{ path: /a, upstream: oders }, { path: /b, upstream: billing }]';
    expect(problemsOf(text)).toMatchObject([
      {
        path: 'routes[0].upstream',
        line: 2,
        column: 32,
        message: "names 'oders' as its upstream, which nothing defines",
        fix: 'did you mean orders?',
      },
      { path: 'routes[1].upstream', fix: containing('write it under upstreams') },
    ]);
  });

  it('to a route that is to be replaced must name another route', () => {
    expect(problemOf(twoRoutes('replaces: oen'))).toMatchObject({
      path: 'routes[1].replaces',
      fix: 'did you mean one?',
    });
    expect(problemOf(twoRoutes('name: two, replaces: two'))).toMatchObject({ path: 'routes[1].replaces' });
    expect(problemOf(twoRoutes('name: one'))).toMatchObject({
      path: 'routes[1].name',
      message: 'is already the name of a route written in line 2',
    });
    expect(load(twoRoutes('name: one, replaces: one')).config.routes).toHaveLength(2);
  });

  it('is checked even where other keys are wrong', () => {
    expect(placesOf(problemsOf('listen: { port: x }\nroutes: [{ path: /a, upstream: gone }]'))).toEqual([
      '1:17 listen.port',
      '2:32 routes[0].upstream',
    ]);
  });

  it('an upstream without endpoints is told where they go', () => {
    const problem = problemOf('upstreams:\n  orders:\n    timeout: 3s\n');
    expect(problem).toMatchObject({ path: 'upstreams.orders.endpoints', line: 2, column: 3, message: 'is missing' });
    expect(problem.fix).toContain('under upstreams.orders: endpoints: ["http://HOST:PORT"]');
  });

  it('the two listeners cannot share a port', () => {
    expect(problemOf('admin: { port: 5000 }\nlisten: { port: 5000 }')).toMatchObject({ path: 'listen.port', line: 2 });
    expect(problemOf('listen: { port: 4001 }')).toMatchObject({ path: 'listen.port', line: 1, column: 17 });
    expect(load('listen: { port: 0 }\nadmin: { port: 0 }').config.listen.port).toBe(0);
  });

  it('files and folders must be there', () => {
    expect(
      problemsOf('modules: ./no-such\nupstreams: { a: { endpoints: [https://a], tls: { ca: ./no-such.crt } } }'),
    ).toMatchObject([
      { path: 'modules', line: 1, message: 'names a folder that does not exist' },
      { path: 'upstreams.a.tls.ca', line: 2, message: 'names a file that does not exist' },
    ]);
  });
});

function withPath(path: string, rest = ''): string {
  return `upstreams: { a: { endpoints: [http://a] } }\nroutes: [{ path: '${path}', upstream: a${rest} }]`;
}

describe('the path of a route', () => {
  it.each([
    ['v1/orders', 'does not start with a slash', '/v1/orders{/*rest}'],
    ['/a/*', 'Missing parameter name at index 4', 'such as :id or *rest'],
    ['/a/:id?', 'Unexpected ? at index 6', 'write what is optional in braces'],
    ['/a/(.*)', 'Unexpected ( at index 3', 'regular expressions are not taken'],
    ['/a{/:id', 'Unexpected end', 'the closing brace'],
    ['/a/:id/b/:id', 'has the parameter id twice', 'name them apart'],
    ['/a b', 'has a space', 'percent-encoded'],
  ])('%s is refused with the position', (path, message, fix) => {
    const problem = problemOf(withPath(path));
    expect(problem).toMatchObject({ path: 'routes[0].path', line: 2, column: 18 });
    expect(problem.message).toContain(message);
    expect(problem.fix).toContain(fix);
  });

  it.each([
    ['/a/:id', '/b/:nope', 'names :nope, which the path does not have'],
    ['/a/:id', '/b/*id', 'writes id as *id, the path does not'],
    ['/a{/:id}', '/b/:id', 'needs id, which is optional in the path'],
    ['/a/:id', 'b/:id', 'does not start with a slash'],
  ])('%s cannot be rewritten to %s', (path, rewrite, message) => {
    const problem = problemOf(withPath(path, `, rewrite: '${rewrite}'`));
    expect(problem.path).toBe('routes[0].rewrite');
    expect(problem.message).toContain(message);
  });

  it('may be rewritten with every parameter it has, also where another key of the route is wrong', () => {
    expect(load(withPath('/a/:id{/*rest}', ", rewrite: '/b/:id{/*rest}'")).config.routes[0]?.rewrite).toBe(
      '/b/:id{/*rest}',
    );
    expect(problemsOf(withPath('/a/:id', ", rewrite: '/b/:x', timeout: 3")).map(({ path }) => path)).toEqual([
      'routes[0].rewrite',
      'routes[0].timeout',
    ]);
  });
});
