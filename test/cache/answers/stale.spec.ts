import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { acme, bearing, startAnswerServer, type AnswerServer } from './server.ts';

let server: AnswerServer;

beforeAll(async () => {
  server = await startAnswerServer({
    upstreams: { sick: { breaker: { failures: 1_000 } } },
  });
});

beforeEach(() => {
  server.service.requests.length = 0;
  server.gives('/stale', { id: '1', name: 'good' });
  server.gives('/notes', { a: ['x'], b: ['y'] }, { 'cache-control': 'max-age=0' });
});

afterAll(() => server.stop());

const query = '{ stale { name } }';
const good = { stale: { name: 'good' } };

interface Body {
  readonly data: unknown;
  readonly errors?: readonly { readonly extensions: { readonly code: string } }[];
  readonly extensions?: { readonly degraded: readonly Record<string, unknown>[] };
}

const ask = async (text = query) => {
  const { headers, ...answer } = await server.post(text);
  return { headers, ...(answer.json() as unknown as Body) };
};

describe('@upstream(staleIfError:), of an upstream that says nothing of storing', () => {
  test('has the last good answer where the service answers with a failure, and says so', async () => {
    expect(await ask()).toMatchObject({ data: good });
    for (const status of [500, 502, 503, 504]) {
      server.service.answer('/stale', { status });
      const { data, errors, extensions, headers } = await ask();
      expect([status, data, errors]).toEqual([status, good, undefined]);
      expect(extensions!.degraded).toEqual([
        {
          path: ['stale'],
          code: 'UPSTREAM_ERROR',
          upstream: 'sick',
          age: expect.any(Number) as number,
          reason: 'error',
        },
      ]);
      expect(headers['cache-control']).toBe('no-store');
      expect(headers.warning).toBeUndefined();
    }
  });

  test('asks the service as long as it answers: an old answer is for when there is no other', async () => {
    await ask();
    server.gives('/stale', { id: '1', name: 'better' });
    expect((await ask()).data).toEqual({ stale: { name: 'better' } });
  });

  test('has it where the service does not answer in time, or not at all', async () => {
    await ask();
    server.service.answer('/stale', () => {});
    expect((await ask()).extensions!.degraded).toMatchObject([
      { path: ['stale'], reason: 'timeout', code: 'UPSTREAM_TIMEOUT' },
    ]);
    server.service.answer('/stale', (request) => request.socket.destroy());
    expect((await ask()).extensions!.degraded).toMatchObject([{ path: ['stale'], code: 'UPSTREAM_UNREACHABLE' }]);
  });

  test('has it where the breaker is open, which asks nobody', async () => {
    const other = await startAnswerServer({ upstreams: { sick: { breaker: { failures: 2, openFor: '1m' } } } });
    onTestFinished(() => other.stop());
    other.gives('/stale', { id: '1', name: 'good' });
    await other.post(query);
    other.service.answer('/stale', { status: 503 });
    for (const _ of [1, 2]) await other.post(query);
    other.service.requests.length = 0;
    expect((await other.post(query)).json()).toMatchObject({
      data: good,
      extensions: { degraded: [{ path: ['stale'], reason: 'breaker-open', code: 'UPSTREAM_UNAVAILABLE' }] },
    });
    expect(other.service.requests).toEqual([]);
  });

  test('fails where there never was a good answer', async () => {
    const other = await startAnswerServer();
    other.service.answer('/stale', { status: 500 });
    const { data, errors } = (await other.post(query)).json() as unknown as Body;
    expect(data).toEqual({ stale: null });
    expect(errors![0]!.extensions.code).toBe('UPSTREAM_ERROR');
    await other.stop();
  });

  test('comes before the static fallback, which is for when there is none', async () => {
    const other = await startAnswerServer();
    const standing = async () => (await other.post('{ standing { name } }')).json() as unknown as Body;
    other.service.answer('/standing', { status: 503 });
    expect(await standing()).toMatchObject({ data: { standing: [] }, extensions: { degraded: [{ fallback: true }] } });
    other.gives('/standing', { items: [{ id: '1', name: 'good' }] });
    await standing();
    other.service.answer('/standing', { status: 503 });
    const { data, extensions } = await standing();
    expect(data).toEqual({ standing: [{ name: 'good' }] });
    expect(extensions!.degraded).toMatchObject([
      { path: ['standing'], reason: 'error', age: expect.any(Number) as number },
    ]);
    expect(extensions!.degraded[0]).not.toHaveProperty('fallback');
    await other.stop();
  });

  test('does not give one consumer what another was given', async () => {
    server.gives('/stale', (request: { headers: Record<string, unknown> }) => ({
      id: '1',
      name: request.headers['x-weir-consumer'],
    }));
    await ask();
    server.service.answer('/stale', { status: 500 });
    const { data } = (await server.post(query, bearing(acme))).json() as unknown as Body;
    expect(data).toEqual({ stale: null });
  });
});

describe('Fields that a loader answers', () => {
  const notes = '{ staleFirst(ids: ["a", "b"]) { id notes } }';

  test('each say where the old answer stands', async () => {
    const fresh = await ask(notes);
    expect(fresh.data).toEqual({
      staleFirst: [
        { id: 'a', notes: ['x'] },
        { id: 'b', notes: ['y'] },
      ],
    });
    server.service.answer('/notes', { status: 503 });
    const { data, extensions } = await ask(notes);
    expect(data).toEqual(fresh.data);
    expect(extensions!.degraded).toMatchObject([
      { path: ['staleFirst', 0, 'notes'], reason: 'error', upstream: 'sick' },
      { path: ['staleFirst', 1, 'notes'], reason: 'error', upstream: 'sick' },
    ]);
    // Others than those that were asked for together have none.
    const other = await ask('{ staleFirst(ids: ["a"]) { notes } }');
    expect(other).toMatchObject({
      data: { staleFirst: [{ notes: null }] },
      extensions: { degraded: [{ code: 'UPSTREAM_ERROR' }] },
    });
  });
});
