import { once } from 'node:events';
import { buildSchema, parse, type OperationDefinitionNode } from 'graphql';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import type { Criticality } from '#core/criticality.ts';
import { operationCriticality } from '#gateway/graphql/criticality.ts';
import { buildTypes } from '#schema/build.ts';
import { mergeSdl } from '#schema/merge.ts';
import { formatProblem } from '#schema/problem.ts';
import { sdlText } from '../modules/harness.ts';
import { inFlight, type TestConfig } from '../support/gateway.ts';
import { RawClient, send, settle, until } from '../support/raw-client.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';
import { startModules, type GraphqlServer } from './shop-gateway.ts';

const retryAfter = expect.any(Number) as number;

let service: TestUpstream;
/** Of requests to `/hold`, which wait for them. */
const answers: (() => void)[] = [];

beforeAll(async () => {
  service = await startUpstream((request, response) => {
    if (request.url === '/hold') answers.push(() => response.end());
    else response.setHeader('content-type', 'application/json').end('[]');
  });
});

afterEach(() => {
  for (const answer of answers.splice(0)) answer();
});

afterAll(() => service.close());

function start(folder: string, graphql: object = {}): Promise<GraphqlServer> {
  const config: TestConfig = {
    listen: { maxInFlight: 10 },
    graphql,
    upstreams: { things: { endpoints: [service.url] } },
    routes: [{ path: '/hold', upstream: 'things', criticality: 'critical' }],
  };
  return startModules(folder, config);
}

/** Puts so many requests in flight. @returns what lets them go */
async function hold(server: GraphqlServer, count: number): Promise<() => Promise<void>> {
  const held = Array.from({ length: count }, (_, index) =>
    send(`${server.url}/hold`, { headers: { 'x-weir-deadline-ms': String(60_000 + index) } }),
  );
  await until(() => answers.length === count);
  return async () => {
    for (const answer of answers.splice(0)) answer();
    await Promise.all(held);
    await until(async () => (await inFlight(server)) === 0);
  };
}

async function metrics(server: GraphqlServer): Promise<string> {
  return (await send(`${server.adminUrl}/metrics`)).text;
}

describe('An operation over HTTP', () => {
  let server: GraphqlServer;

  beforeAll(async () => {
    server = await start('test/fixtures/things');
  });

  afterAll(() => server.stop());

  test.each([
    [6, { vitalAnswer: 200, 'busy(ms: 0)': 200, spareAnswer: 200 }],
    [7, { vitalAnswer: 200, 'busy(ms: 0)': 200, spareAnswer: 503 }],
    [9, { vitalAnswer: 200, 'busy(ms: 0)': 503, spareAnswer: 503 }],
  ])(
    'is refused by how critical its fields are, the least critical first: with %i of 10 in flight',
    async (count, expected) => {
      const release = await hold(server, count);
      // Twice: the second time its document is known.
      for (const [field, status] of [...Object.entries(expected), ...Object.entries(expected)]) {
        const answer = await server.query(`{ ${field} }`);
        expect([field, answer.status]).toEqual([field, status]);
        if (status === 200) continue;
        expect(answer.body).toMatchObject({
          errors: [{ extensions: { code: 'OVERLOADED', requestId: expect.any(String) as string } }],
        });
        expect(answer.body.data).toBeUndefined();
        expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
        expect(answer.headers.get('proxy-status')).toBe('weir; error=http_request_denied');
      }
      await release();
    },
  );

  test('is refused before anything is made of it, once its document is known and its content came with its head', async () => {
    await server.query('{ spareAnswer }');
    const release = await hold(server, 7);
    const refused = await server.query('{ spareAnswer }');
    expect([refused.status, refused.headers.get('traceparent')]).toEqual([503, null]);
    expect(refused.headers.get('content-type')).toBe('application/json; charset=utf-8');
    const [error] = refused.body.errors!;
    expect(error!.extensions).toMatchObject({ code: 'OVERLOADED', requestId: refused.headers.get('x-request-id') });
    // One that is served has its content still.
    expect((await server.query('{ vitalAnswer }')).body.data).toEqual({ vitalAnswer: 'yes' });
    await release();
  });

  const content = '{"query":"{ spareAnswer }"}';
  const headOf = ({ length }: string, more = '') =>
    `POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n${more}\r\n`;

  test('is asked further in where its content comes later, in a form that says less, or from another origin', async () => {
    await server.query('{ spareAnswer }');
    const release = await hold(server, 7);
    const ask = async (first: string, second = '') => {
      const client = await RawClient.connect(server.url);
      client.write(first);
      await settle();
      client.write(second);
      await until(() => client.received.includes('OVERLOADED'));
      client.socket.destroy();
      return client.received;
    };
    expect(await ask(headOf(content), content)).toMatch(/^HTTP\/1\.1 503 .*\r\ntraceparent: /s);
    expect(await ask(`${headOf(content, 'Origin: https://other.example\r\n')}${content}`)).toContain('traceparent:');
    const long = `{"query":"{ spareAnswer }"${' '.repeat(20_000)}}`;
    expect(await ask(`${headOf(long)}${long}`)).toContain('traceparent:');
    expect(await ask(`${headOf(content)}${content}`.repeat(2))).not.toContain('traceparent:');
    await release();
  });

  test('leaves nothing behind where its client has gone before it is looked into', async () => {
    await server.query('{ spareAnswer }');
    const release = await hold(server, 7);
    for (let index = 0; index < 20; index++) {
      const client = await RawClient.connect(server.url);
      client.write(`${headOf(content)}${content}`);
      client.socket.destroy();
    }
    await release();
    expect((await server.query('{ spareAnswer }')).status).toBe(200);
  });

  test('is as critical as the most critical of its root fields', async () => {
    const release = await hold(server, 9);
    expect((await server.query('{ spareAnswer busy(ms: 0) vitalAnswer }')).status).toBe(200);
    expect((await server.query('{ spareAnswer busy(ms: 0) }')).status).toBe(503);
    await release();
  });

  test('is told by its name among others of its document', async () => {
    const release = await hold(server, 7);
    const query = 'query Spare { spareAnswer } query Vital { vitalAnswer }';
    for (let time = 0; time < 2; time++) {
      expect((await server.query({ query, operationName: 'Vital' })).status).toBe(200);
      expect((await server.query({ query, operationName: 'Spare' })).status).toBe(503);
    }
    await release();
  });

  test('is refused by GET too, and where it is not plain JSON', async () => {
    const release = await hold(server, 7);
    expect((await send(`${server.graphqlUrl}?query={spareAnswer}`)).status).toBe(503);
    expect((await send(`${server.graphqlUrl}?query={vitalAnswer}`)).status).toBe(200);
    await release();
  });

  test('that is wrong is told so, for that costs no more', async () => {
    const release = await hold(server, 9);
    expect((await server.query('{ nothing }')).body.errors?.[0]?.extensions.code).toBe('GRAPHQL_VALIDATION_FAILED');
    expect((await server.query('{')).body.errors?.[0]?.extensions.code).toBe('GRAPHQL_PARSE_FAILED');
    await release();
  });

  test('counts as shed under its own criticality, once', async () => {
    const shed = async () =>
      Number(
        /^weir_shed_total\{weir_criticality="sheddable",weir_shed_reason="in_flight"\} (\d+)/m.exec(
          await metrics(server),
        )![1],
      );
    const before = await shed();
    const release = await hold(server, 7);
    for (let time = 0; time < 3; time++) await server.query('{ spareAnswer }');
    expect(await shed()).toBe(before + 3);
    await release();
  });
});

describe('Each operation of a batch', () => {
  test('is asked for itself, and says in its own result when to come back', async () => {
    const server = await start('test/fixtures/things');
    const release = await hold(server, 7);
    const batch = JSON.stringify(['spareAnswer', 'vitalAnswer'].map((field) => ({ query: `{ ${field} }` })));
    const answer = await send(server.graphqlUrl, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: batch,
    });
    expect([answer.status, answer.json()]).toMatchObject([
      200,
      [{ errors: [{ extensions: { code: 'OVERLOADED', retryAfterS: retryAfter } }] }, { data: { vitalAnswer: 'yes' } }],
    ]);
    await release();
    await server.stop();
  });
});

describe('Each operation on a WebSocket', () => {
  let server: GraphqlServer;
  const sockets: WebSocket[] = [];

  beforeAll(async () => {
    server = await start('test/fixtures/things');
  });

  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.terminate();
  });

  afterAll(() => server.stop());

  async function open() {
    const socket = new WebSocket(server.graphqlUrl.replace('http', 'ws'), 'graphql-transport-ws');
    sockets.push(socket);
    const received: Record<string, unknown>[] = [];
    socket.on('message', (data) => received.push(JSON.parse((data as Buffer).toString()) as Record<string, unknown>));
    await once(socket, 'open');
    socket.send('{"type":"connection_init"}');
    await until(() => received.length === 1);
    let last = 0;
    return async (query: string) => {
      const id = String(++last);
      socket.send(JSON.stringify({ type: 'subscribe', id, payload: { query } }));
      await until(() => received.some((message) => message.id === id));
      return received.find((message) => message.id === id);
    };
  }

  test('is asked for itself, while the connection stays open', async () => {
    const ask = await open();
    const release = await hold(server, 7);
    expect(await ask('{ spareAnswer }')).toMatchObject({
      type: 'error',
      payload: [
        { extensions: { code: 'OVERLOADED', retryAfterS: retryAfter, requestId: expect.any(String) as string } },
      ],
    });
    expect(await ask('{ vitalAnswer }')).toMatchObject({ type: 'next', payload: { data: { vitalAnswer: 'yes' } } });
    await release();
    expect(await ask('{ spareAnswer }')).toMatchObject({ type: 'next' });
  });

  test('is what is in flight, not the connections that are open nor the subscriptions that wait for events', async () => {
    for (let index = 0; index < 12; index++) {
      const ask = await open();
      expect(await ask('subscription { ticks }')).toMatchObject({ type: 'next', payload: { data: { ticks: 1 } } });
    }
    expect((await server.query('{ spareAnswer }')).status).toBe(200);
  });

  test('gives back its place, however it ends', async () => {
    const ask = await open();
    for (let index = 0; index < 12; index++) {
      await ask('{ vitalAnswer }');
      await ask('{ nothing }');
      await ask('{ busy(ms: "x") }');
    }
    const leaving = await open();
    void leaving('{ things { id } }');
    await settle(5);
    sockets.at(-1)!.terminate();
    const release = await hold(server, 6);
    await until(async () => (await inFlight(server)) === 6);
    expect((await server.query('{ spareAnswer }')).status).toBe(200);
    await release();
  });

  test('has no line each in the log when a flood of them is refused', async () => {
    const ask = await open();
    const release = await hold(server, 7);
    const lines = server.log.length;
    for (let index = 0; index < 50; index++) await ask('{ spareAnswer }');
    await release();
    server.gateway.telemetry.refusals.flush();
    const after = server.log.slice(lines);
    const single = after.filter(({ msg, error }) => msg === 'operation' && error === 'OVERLOADED').length;
    const counted = after.filter(({ msg, code }) => msg === 'refused' && code === 'OVERLOADED');
    expect(single + counted.reduce((sum, { count }) => sum + Number(count), 0)).toBe(50);
    expect(single).toBeLessThan(50);
  });
});

describe('graphql.criticality', () => {
  test.each([
    ['sheddable', 503, 503],
    ['default', 200, 503],
    ['critical', 200, 200],
  ] as const)('is that of all operations where no field says another: %s', async (criticality, at7, at9) => {
    const server = await start('test/fixtures/things/plain', { criticality });
    for (const [count, status] of [
      [7, at7],
      [9, at9],
    ] as const) {
      const release = await hold(server, count);
      const answer = await send(server.graphqlUrl, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '{"query":"{ busy(ms: 0) }"}',
      });
      expect([count, answer.status]).toEqual([count, status]);
      if (status === 503) expect(answer.text).toContain('OVERLOADED');
      await release();
    }
    await server.stop();
  });

  test('is that of fields that say nothing, beside others that do', async () => {
    const server = await start('test/fixtures/things', { criticality: 'sheddable' });
    const release = await hold(server, 7);
    expect((await server.query('{ busy(ms: 0) }')).status).toBe(503);
    expect((await server.query('{ vitalAnswer }')).status).toBe(200);
    await release();
    await server.stop();
  });
});

describe('@criticality', () => {
  const enumeration =
    'directive @criticality(level: Criticality!) on FIELD_DEFINITION\nenum Criticality { CRITICAL DEFAULT SHEDDABLE }';
  const schema = buildSchema(`${enumeration}
    type Query {
      vital: Query @criticality(level: CRITICAL)
      spare: Query @criticality(level: SHEDDABLE)
      plain: Query
    }
    type Mutation { spare: Int @criticality(level: SHEDDABLE) }`);

  test.each<[string, Criticality]>([
    ['{ vital { plain } }', 'critical'],
    ['{ spare { vital { plain } } }', 'sheddable'],
    ['{ plain { vital { plain } } }', 'default'],
    ['{ spare { plain } plain { plain } }', 'default'],
    ['{ renamed: spare { __typename } }', 'sheddable'],
    ['{ ... { spare { __typename } ... on Query { vital { __typename } } } }', 'critical'],
    ['{ ...A } fragment A on Query { ...B } fragment B on Query { vital { __typename } ...A }', 'critical'],
    ['{ spare @skip(if: true) { __typename } vital @include(if: false) { __typename } }', 'critical'],
    ['{ __typename }', 'default'],
    ['{ spare { __typename } __schema { queryType { name } } }', 'default'],
    ['mutation { spare }', 'sheddable'],
    ['subscription { spare }', 'default'],
  ])('makes %s %s', (text, expected) => {
    const document = parse(text);
    const operation = document.definitions[0] as OperationDefinitionNode;
    expect(operationCriticality(schema, document, operation, 'default')).toBe(expected);
  });

  function problems(text: string): string[] {
    const merged = mergeSdl([{ module: 'shop', documents: [sdlText('shop', text)] }]);
    return (merged.problems.length > 0 ? merged.problems : buildTypes(merged).problems).map(formatProblem);
  }

  test('is known in every schema', () => {
    expect(problems('extend type Query { a: Int @criticality(level: CRITICAL) }')).toEqual([]);
    expect(
      problems('extend type Mutation { a: Int @criticality(level: DEFAULT) }\nextend type Query { b: Int }'),
    ).toEqual([]);
  });

  test.each([
    [
      'a field that is no root field',
      'extend type Query { a: A }\ntype A { b: Int @criticality(level: CRITICAL) }',
      /shop\.graphql:2: .*A\.b.*root fields/,
    ],
    [
      'a level that there is not',
      'extend type Query { a: Int @criticality(level: VITAL) }',
      /shop\.graphql:1: .*VITAL/,
    ],
    ['no level', 'extend type Query { a: Int @criticality }', /shop\.graphql:1: .*level/],
    [
      'two levels',
      'extend type Query { a: Int @criticality(level: CRITICAL) @criticality(level: DEFAULT) }',
      /criticality/,
    ],
  ])('is refused at boot with %s', (_, text, expected) => {
    const found = problems(text);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(expected);
  });
});
