import { once } from 'node:events';
import { hash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { startLoneGateway, type GraphqlBody, type GraphqlServer } from './shop-gateway.ts';

const sha256 = (text: string) => hash('sha256', text);
const persisted = (sha256Hash: string) => ({ extensions: { persistedQuery: { version: 1, sha256Hash } } });
/** Of its own each time: what one test registers no other may find. */
let documents = 0;
const newDocument = () => `query Q${++documents} { __typename }`;
const answer = { data: { __typename: 'Query' } };

async function get(server: GraphqlServer, parameters: Record<string, string>, accept = 'application/json') {
  const response = await fetch(`${server.graphqlUrl}?${new URLSearchParams(parameters).toString()}`, {
    headers: { accept },
  });
  return { status: response.status, headers: response.headers, body: (await response.json()) as GraphqlBody };
}

const codesOf = ({ errors = [] }: GraphqlBody) => errors.map(({ extensions }) => extensions.code);

let server: GraphqlServer;

beforeAll(async () => {
  server = await startLoneGateway();
});

afterAll(() => server.stop());

describe("Automatic persisted queries, Apollo's protocol", () => {
  test('a hash that nobody registered is answered with what tells the client to send the text', async () => {
    const { status, headers, body } = await server.query(persisted(sha256(newDocument())));
    expect(status).toBe(200);
    expect(body.errors).toMatchObject([
      { message: 'PersistedQueryNotFound', extensions: { code: 'PERSISTED_QUERY_NOT_FOUND' } },
    ]);
    expect(headers.get('cache-control')).toBe('no-store');
    const accept = 'application/graphql-response+json';
    expect((await server.query(persisted(sha256(newDocument())), { accept })).status).toBe(404);
  });

  test('the text with its hash registers it, and from then on the hash is enough', async () => {
    const query = newDocument();
    expect((await server.query({ query, ...persisted(sha256(query)) })).body).toEqual(answer);
    expect((await server.query(persisted(sha256(query)))).body).toEqual(answer);
  });

  test('over GET, for a CDN, too, and a mutation is still none for GET', async () => {
    const query = newDocument();
    const { extensions } = persisted(sha256(query));
    await server.query({ query, extensions });
    expect(await get(server, { extensions: JSON.stringify(extensions) })).toMatchObject({ status: 200, body: answer });
    const mutation = `mutation M { __typename }`;
    await server.query({ query: mutation, ...persisted(sha256(mutation)) });
    const refused = await get(server, { extensions: JSON.stringify(persisted(sha256(mutation)).extensions) });
    expect(refused.status).toBe(405);
  });

  test('a text that is not the one of its hash is refused, and registers nothing', async () => {
    const [query, other] = [newDocument(), newDocument()];
    const { status, body } = await server.query({ query, ...persisted(sha256(other)) });
    expect([status, codesOf(body)]).toEqual([400, ['PERSISTED_QUERY_MISMATCH']]);
    for (const text of [query, other])
      expect(codesOf((await server.query(persisted(sha256(text)))).body)).toEqual(['PERSISTED_QUERY_NOT_FOUND']);
  });

  test('a hash that was registered with another text is refused, too', async () => {
    const query = newDocument();
    await server.query({ query, ...persisted(sha256(query)) });
    const { body } = await server.query({ query: newDocument(), ...persisted(sha256(query)) });
    expect(codesOf(body)).toEqual(['PERSISTED_QUERY_MISMATCH']);
  });

  test('what cannot be run is not kept', async () => {
    const query = `query N${++documents} { nothing }`;
    const { body } = await server.query({ query, ...persisted(sha256(query)) });
    expect(codesOf(body)).toEqual(['GRAPHQL_VALIDATION_FAILED']);
    expect(codesOf((await server.query(persisted(sha256(query)))).body)).toEqual(['PERSISTED_QUERY_NOT_FOUND']);
  });

  test.each([
    { persistedQuery: 'x' },
    { persistedQuery: {} },
    { persistedQuery: { version: 2, sha256Hash: 'a' } },
    { persistedQuery: { version: 1, sha256Hash: '' } },
    { persistedQuery: { version: 1, sha256Hash: 'a'.repeat(257) } },
    { persistedQuery: { version: 1, sha256Hash: 1 } },
  ])('an extension of another form is refused: %j', async (extensions) => {
    const { status, body } = await server.query({ query: '{ __typename }', extensions });
    expect([status, codesOf(body)]).toEqual([400, ['BAD_REQUEST']]);
  });

  test('each entry of a batch has its own', async () => {
    const [query, other] = [newDocument(), newDocument()];
    const batch = [{ query, ...persisted(sha256(query)) }, persisted(sha256(other)), { query: other }];
    const { body } = await server.query(batch);
    const results = body as unknown as GraphqlBody[];
    expect(results[0]).toEqual(answer);
    expect(codesOf(results[1]!)).toEqual(['PERSISTED_QUERY_NOT_FOUND']);
    expect(results[2]).toEqual(answer);
    expect((await server.query([persisted(sha256(query))])).body).toEqual([answer]);
  });

  test('on a WebSocket it is an error of the operation, and needs no empty query', async () => {
    const query = newDocument();
    const socket = new WebSocket(server.graphqlUrl.replace('http', 'ws'), 'graphql-transport-ws');
    onTestFinished(() => socket.close());
    const received: { id?: string; type: string; payload?: unknown }[] = [];
    socket.on('message', (data) => received.push(JSON.parse((data as Buffer).toString()) as never));
    await once(socket, 'open');
    const say = (message: object) => socket.send(JSON.stringify(message));
    const heard = (id: string) => expect.poll(() => received.find((message) => message.id === id));
    say({ type: 'connection_init' });
    await expect.poll(() => received[0]?.type).toBe('connection_ack');
    say({ id: '1', type: 'subscribe', payload: persisted(sha256(query)) });
    await heard('1').toMatchObject({ type: 'error', payload: [{ extensions: { code: 'PERSISTED_QUERY_NOT_FOUND' } }] });
    say({ id: '2', type: 'subscribe', payload: { query, ...persisted(sha256(query)) } });
    await heard('2').toMatchObject({ type: 'next', payload: answer });
    say({ id: '3', type: 'subscribe', payload: persisted(sha256(query)) });
    await heard('3').toMatchObject({ type: 'next', payload: answer });
    say({ id: '4', type: 'subscribe', payload: { query: '', ...persisted(sha256(query)) } });
    await heard('4').toMatchObject({ type: 'next', payload: answer });
    say({ id: '5', type: 'subscribe', payload: { documentId: `sha256:${sha256(query)}` } });
    await heard('5').toMatchObject({ type: 'next', payload: answer });
  });

  test('turned off, says so in the words that make clients stop asking, and runs texts as ever', async () => {
    const off = await startLoneGateway({ graphql: { documents: { automatic: { enabled: false } } } });
    onTestFinished(() => off.stop());
    const query = newDocument();
    expect((await off.query({ query, ...persisted(sha256(query)) })).body).toEqual(answer);
    const { body } = await off.query(persisted(sha256(query)));
    expect(body.errors).toMatchObject([
      { message: 'PersistedQueryNotSupported', extensions: { code: 'PERSISTED_QUERY_NOT_SUPPORTED' } },
    ]);
  });

  test('is bounded: the document that was not asked for the longest gives way, and a long one is never kept', async () => {
    const small = await startLoneGateway({
      graphql: { documents: { automatic: { maxEntries: 2, maxBytes: '64B' } } },
    });
    onTestFinished(() => small.stop());
    const [first, second, third] = [newDocument(), newDocument(), newDocument()];
    for (const query of [first, second]) await small.query({ query, ...persisted(sha256(query)) });
    await small.query(persisted(sha256(first)));
    await small.query({ query: third, ...persisted(sha256(third)) });
    const found = async (query: string) => codesOf((await small.query(persisted(sha256(query)))).body).length === 0;
    expect(await Promise.all([first, second, third].map(found))).toEqual([true, false, true]);
    const long = `${newDocument()} # ${'x'.repeat(64)}`;
    expect((await small.query({ query: long, ...persisted(sha256(long)) })).body).toEqual(answer);
    expect(await found(long)).toBe(false);
  });
});

describe('`documentId` of GraphQL over HTTP, appendix A', () => {
  test('with the prefix sha256 means the hash of a text, in a body and in a URL', async () => {
    const query = newDocument();
    const documentId = `sha256:${sha256(query)}`;
    expect(codesOf((await server.query({ documentId })).body)).toEqual(['PERSISTED_QUERY_NOT_FOUND']);
    expect((await server.query({ query, documentId })).body).toEqual(answer);
    expect((await server.query({ documentId })).body).toEqual(answer);
    expect((await get(server, { documentId })).body).toEqual(answer);
    expect((await server.query([{ documentId }])).body).toEqual([answer]);
  });

  test('that is not known gets a well-formed response of one error', async () => {
    const { status, body } = await get(server, { documentId: 'unknown' }, 'application/graphql-response+json');
    expect([status, codesOf(body)]).toEqual([404, ['PERSISTED_QUERY_NOT_FOUND']]);
    expect(body.data).toBeUndefined();
  });

  test.each([
    { documentId: 1 },
    { documentId: 'a'.repeat(257) },
    { documentId: 'a', ...persisted('a') },
    { documentId: 'a', query: '{ __typename }' },
  ])('of another form, or of two meanings, is refused: %j', async (parameters) => {
    const { status, body } = await server.query(parameters);
    expect([status, codesOf(body)]).toEqual([400, ['BAD_REQUEST']]);
  });
});

describe('Registered documents in Redis', () => {
  let redis: TestRedis;

  beforeAll(async () => {
    redis = await startRedis();
  });

  afterAll(() => redis.close());

  async function instance(automatic: object = {}, timeout = '5s'): Promise<GraphqlServer> {
    const started = await startLoneGateway({
      redis: { url: redis.url, timeout },
      graphql: { documents: { automatic } },
    });
    onTestFinished(() => started.stop());
    await expect.poll(() => started.log.some(({ msg }) => msg === 'redis connected')).toBe(true);
    return started;
  }

  const kept = () => redis.client.hlen('weir:v1:{documents}:by-hash');

  test('are known to instances that have never seen their text', async () => {
    const [one, other] = [await instance(), await instance()];
    const query = newDocument();
    await one.query({ query, ...persisted(sha256(query)) });
    await expect.poll(kept).toBeGreaterThan(0);
    expect((await other.query(persisted(sha256(query)))).body).toEqual(answer);
    expect((await other.query([persisted(sha256(query))])).body).toEqual([answer]);
  });

  test('are bounded there, too', async () => {
    await redis.client.flushall();
    const one = await instance({ maxEntries: 2 });
    for (let count = 0; count < 5; count++) {
      const query = newDocument();
      await one.query({ query, ...persisted(sha256(query)) });
      await expect.poll(kept).toBe(Math.min(count + 1, 2));
    }
    expect(await redis.client.zcard('weir:v1:{documents}:last-used')).toBe(2);
  });

  test('that were changed there are not run', async () => {
    const one = await instance();
    const id = sha256(newDocument());
    await redis.client.hset('weir:v1:{documents}:by-hash', id, '{ products { id } }');
    expect(codesOf((await one.query(persisted(id))).body)).toEqual(['PERSISTED_QUERY_NOT_FOUND']);
  });

  test('are not waited for: with Redis out of breath a client is asked for the text', async () => {
    const one = await instance({}, '25ms');
    const query = newDocument();
    redis.pause();
    try {
      expect(codesOf((await one.query(persisted(sha256(query)))).body)).toEqual(['PERSISTED_QUERY_NOT_FOUND']);
      expect((await one.query({ query, ...persisted(sha256(query)) })).body).toEqual(answer);
      expect((await one.query(persisted(sha256(query)))).body).toEqual(answer);
    } finally {
      redis.resume();
    }
  });
});
