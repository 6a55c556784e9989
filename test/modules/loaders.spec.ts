import { describe, expect, it } from 'vitest';
import { systemClock } from '#core/clock.ts';
import { WeirError } from '#core/errors.ts';
import { batch, each, groupBy, indexBy, type Key, type Loader } from '#upstreams/loaders/loader.ts';
import { noParams, type Params } from '#upstreams/loaders/params.ts';
import { RequestLoader } from '#upstreams/loaders/request-loader.ts';
import { currentPurpose } from '#upstreams/purpose.ts';
import { newRequest } from './harness.ts';

interface Row {
  readonly id: string;
  readonly owner: string;
}

const rows: readonly Row[] = [
  { id: '1', owner: 'a' },
  { id: '2', owner: 'b' },
  { id: '3', owner: 'a' },
];

function atWork<K extends Key, P>(loader: Loader<K, P, unknown>, request = newRequest()) {
  const place = { module: 'shop', name: 'things', upstream: 'things' };
  const erased = loader as unknown as Loader<Key, Params, unknown>;
  const at = new RequestLoader(erased, place, request, (context) => context, systemClock);
  return { load: (key: Key, params: Params) => at.load(key, params, undefined, undefined), clear: () => at.clear() };
}

describe('A batch', () => {
  it('is for nobody else if one of the fields that ask knows who asks', async () => {
    const personal: [readonly Key[], boolean | undefined][] = [];
    const place = { module: 'shop', name: 'things', upstream: 'things' };
    const loader = batch({ maxBatchSize: 100 }, (ids) => {
      personal.push([ids, currentPurpose()?.personal]);
      return Promise.resolve(indexBy(rows, ({ id }) => id));
    }) as unknown as Loader<Key, Params, unknown>;
    const at = new RequestLoader(loader, place, newRequest(), (context) => context, systemClock);
    const load = (id: string, params: Params, knows: boolean) => at.load(id, params, undefined, undefined, knows);
    await Promise.all([load('1', noParams, false), load('2', noParams, true), load('3', { of: 'all' }, false)]);
    expect(personal).toEqual([
      [['1', '2'], true],
      [['3'], false],
    ]);
  });
});

describe('batch', () => {
  it('asks once for the keys of one moment, each of them once, and gives each its own', async () => {
    const calls: (readonly string[])[] = [];
    const loader = atWork(
      batch({ maxBatchSize: 100 }, async (ids) => {
        calls.push(ids);
        return indexBy(rows, ({ id }) => id);
      }),
    );
    const found = await Promise.all(['2', '9', '1', '2'].map((id) => loader.load(id, noParams)));
    expect(found).toEqual([rows[1], null, rows[0], rows[1]]);
    expect(calls).toEqual([['2', '9', '1']]);
  });

  it('gives lists with groupBy, empty ones for keys without any', async () => {
    const loader = atWork(batch({ maxBatchSize: 100 }, async () => groupBy(rows, ({ owner }) => owner)));
    expect(await Promise.all(['a', 'c'].map((owner) => loader.load(owner, noParams)))).toEqual([
      [rows[0], rows[2]],
      [],
    ]);
  });

  it('takes an array in the order of the keys, where an Error fails its own key only', async () => {
    const loader = atWork(
      batch({ maxBatchSize: 100 }, async (ids) => ids.map((id) => (id === '2' ? new WeirError('UPSTREAM_ERROR') : id))),
    );
    const settled = await Promise.allSettled(['1', '2', '3'].map((id) => loader.load(id, noParams)));
    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  });

  it('makes no call with more keys than maxBatchSize', async () => {
    const sizes: number[] = [];
    const loader = atWork(
      batch({ maxBatchSize: 40 }, async (ids) => {
        sizes.push(ids.length);
        return ids;
      }),
    );
    await Promise.all(Array.from({ length: 100 }, (_, index) => loader.load(String(index), noParams)));
    expect(sizes).toEqual([40, 40, 20]);
  });

  it('never mixes params in one call; equal ones share it, however they are written', async () => {
    const calls: unknown[] = [];
    const loader = atWork(
      batch({ maxBatchSize: 100 }, async (ids, { params }) => {
        calls.push([ids, params]);
        return ids;
      }),
    );
    await Promise.all([
      loader.load('1', { first: 5, tags: ['a', { b: 1 }] }),
      loader.load('2', { tags: ['a', { b: 1 }], first: 5, after: undefined }),
      loader.load('1', { first: 3, tags: ['a', { b: 1 }] }),
      loader.load('3', { first: 5, tags: ['a', { b: 2 }] }),
      loader.load('4', { first: 5 }),
    ]);
    expect(calls).toEqual([
      [['1', '2'], { first: 5, tags: ['a', { b: 1 }] }],
      [['1'], { first: 3, tags: ['a', { b: 1 }] }],
      [['3'], { first: 5, tags: ['a', { b: 2 }] }],
      [['4'], { first: 5 }],
    ]);
  });

  it('remembers within the request until it is told to forget', async () => {
    let calls = 0;
    const loader = atWork(batch({ maxBatchSize: 100 }, async (ids) => ids.map(() => ++calls)));
    await loader.load('1', noParams);
    expect(await loader.load('1', noParams)).toBe(1);
    loader.clear();
    expect(await loader.load('1', noParams)).toBe(2);
  });

  it.each([
    ['too few values', () => ['1'], '1 values for 2 keys'],
    ['an object', () => ({ 1: 'a' }), 'a value of type object'],
    ['nothing', () => undefined, 'a value of type undefined'],
  ])('says module and loader when its function gives %s', async (_what, give, message) => {
    const loader = atWork(batch({ maxBatchSize: 100 }, async () => give() as string[]));
    const [first] = await Promise.allSettled([loader.load('1', noParams), loader.load('2', noParams)]);
    const error = first.status === 'rejected' ? (first.reason as WeirError) : undefined;
    expect(error?.code).toBe('INTERNAL');
    expect(String(error?.cause)).toContain(`loader 'things' of module 'shop' gave ${message}`);
  });

  it('ends with the request, whatever its function still waits for', async () => {
    const request = newRequest();
    const loader = atWork(
      batch({ maxBatchSize: 100 }, () => new Promise<string[]>(() => undefined)),
      request,
    );
    const loading = Promise.allSettled([loader.load('1', noParams), loader.load('2', noParams)]);
    await new Promise((resolve) => setImmediate(resolve));
    request.cancellation.cancel(new WeirError('DEADLINE_EXCEEDED'));
    for (const outcome of await loading) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'DEADLINE_EXCEEDED', upstream: 'things' } });
    }
    await expect(loader.load('3', noParams)).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  });

  it('hands its function a signal that aborts with the request', async () => {
    const request = newRequest();
    const seen = Promise.withResolvers<AbortSignal>();
    const loader = atWork(
      batch({ maxBatchSize: 100 }, async (ids, { signal }) => {
        seen.resolve(signal);
        return ids;
      }),
      request,
    );
    await loader.load('1', noParams);
    request.cancellation.cancel(new WeirError('CLIENT_CLOSED_REQUEST'));
    expect((await seen.promise).aborted).toBe(true);
  });
});

describe('each', () => {
  it('calls key by key, at most so many at once, each key once', async () => {
    let active = 0;
    let most = 0;
    const asked: string[] = [];
    const loader = atWork(
      each({ concurrency: 3 }, async (id) => {
        asked.push(id);
        most = Math.max(most, ++active);
        await new Promise((resolve) => setImmediate(resolve));
        active--;
        return `thing ${id}`;
      }),
    );
    const ids = ['1', '2', '3', '4', '5', '6', '7', '1'];
    expect(await Promise.all(ids.map((id) => loader.load(id, noParams)))).toEqual(ids.map((id) => `thing ${id}`));
    expect({ most, asked }).toEqual({ most: 3, asked: ['1', '2', '3', '4', '5', '6', '7'] });
  });

  it('fails for a key alone, and goes on with those that wait', async () => {
    const loader = atWork(
      each({ concurrency: 1 }, async (id) => {
        if (id === '2') throw new WeirError('UPSTREAM_ERROR');
        return id;
      }),
    );
    const settled = await Promise.allSettled(['1', '2', '3'].map((id) => loader.load(id, noParams)));
    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  });
});
