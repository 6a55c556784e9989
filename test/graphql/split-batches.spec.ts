import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';
import { startModules, type GraphqlServer } from './shop-gateway.ts';

describe('graphql.development', () => {
  let owners: TestUpstream;
  let server: GraphqlServer;

  beforeAll(async () => {
    owners = await startUpstream((_, response) => response.setHeader('content-type', 'application/json').end('[]'));
    const upstreams = { owners: { endpoints: [owners.url] } };
    server = await startModules('test/fixtures/awaits', { upstreams, graphql: { development: true } });
  });

  afterAll(async () => {
    await server.stop();
    await owners.close();
  });

  let seen: number;
  beforeEach(() => (seen = server.log.length));

  async function warnings(query: string) {
    const { body } = await server.query(query);
    expect(body.errors).toBeUndefined();
    return server.log
      .slice(seen)
      .filter(({ calls, msg }) => calls !== undefined && msg !== 'request')
      .map(({ field, path, upstream, calls, expected, msg }) => ({ field, path, upstream, calls, expected, msg }));
  }

  test('says nothing of a field whose keys go in one call', async () => {
    expect(await warnings('{ things { owner { id } } }')).toEqual([]);
  });

  test('names a field whose batches are split, and where to look for the await', async () => {
    expect(await warnings('{ things(first: 3) { awaited { id } } }')).toEqual([
      {
        field: 'Thing.awaited',
        path: 'things.awaited',
        upstream: 'owners',
        calls: 3,
        expected: 1,
        msg: 'the batches of Thing.awaited are split: look for an await before load() in its resolver, or in that of Query.things above it',
      },
    ]);
  });

  test('names a field that calls for each parent, of which SDL says nothing', async () => {
    expect(await warnings('{ things(first: 4) { unsaid { id } } }')).toEqual([
      expect.objectContaining({
        field: 'Thing.unsaid',
        calls: 4,
        expected: 0,
        msg: "Thing.unsaid calls 'owners' for each parent, and SDL says nothing of it; load by a batch() loader, and add @upstream",
      }),
    ]);
  });

  test('is told by weir.cost.delta too, which is below 0 where calls were more than estimated', async () => {
    await server.query('{ things(first: 5) { unsaid { id } } }');
    const metrics = await (await fetch(`${server.adminUrl}/metrics`)).text();
    const below = /^weir_cost_delta_bucket\{[^}]*graphql_operation_type="query"[^}]*le="-1"[^}]*\} (\d+)/m.exec(
      metrics,
    );
    expect(Number(below?.[1])).toBeGreaterThan(0);
  });
});
