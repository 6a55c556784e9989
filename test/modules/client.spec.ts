import { writeFile } from 'node:fs/promises';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { WeirError } from '#core/errors.ts';
import { clientsOf, type UpstreamClient } from '#upstreams/client/client.ts';
import type { UpstreamInput } from '#upstreams/settings.ts';
import { startUpstream, type Handler } from '../support/upstream.ts';
import { newRequest, upstreamAt } from './harness.ts';

const json: Handler = (_request, response) => {
  response.writeHead(200, { 'content-type': 'application/json' }).end('{"ok":true}');
};

async function serve(handler: Handler, settings: Partial<UpstreamInput> = {}, document?: string) {
  const service = await startUpstream(handler);
  onTestFinished(() => service.close());
  const documents: Record<string, URL> = {};
  if (document !== undefined) documents['books'] = await temporaryFile('openapi.yaml', document);
  const clients = clientsOf([upstreamAt('books', service.url, settings)], documents);
  const request = newRequest();
  return { service, request, client: clients(request)['books'] as UpstreamClient };
}

async function temporaryFile(name: string, text: string): Promise<URL> {
  const folder = await mkdtemp(join(tmpdir(), 'weir-client-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const file = join(folder, name);
  await writeFile(file, text);
  return pathToFileURL(file);
}

/** What a call was refused with. */
async function failure(call: Promise<unknown>): Promise<WeirError> {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof WeirError)) throw new Error(`not refused with a WeirError, but ${String(error)}`);
  return error;
}

describe('a call', () => {
  it('fills the path with its parameters percent-encoded, so that no value is more than one segment', async () => {
    const { client, service } = await serve(json);
    await client.get('/books/{id}/pages/{page}', { params: { id: 'a/b?c#d é', page: 7 } });
    expect(service.requests.map(({ url }) => url)).toEqual(['/books/a%2Fb%3Fc%23d%20%C3%A9/pages/7']);
  });

  it.each(['..', '.', ''])(
    'refuses %j as a path parameter, which would make it another path (RFC 3986 §5.2.4)',
    async (id) => {
      const { client, service } = await serve(json);
      expect(await failure(client.get('/books/{id}', { params: { id } }))).toMatchObject({ code: 'BAD_USER_INPUT' });
      expect(service.requests).toEqual([]);
    },
  );

  it('writes lists as the document says: repeated by default, joined where explode is false (OpenAPI 3.1 §4.8.12)', async () => {
    const document = `
openapi: 3.1.0
info: { title: Books, version: '1' }
paths:
  /books:
    parameters: [{ $ref: '#/components/parameters/Ids' }]
    get:
      parameters:
        - { name: tags, in: query, schema: { type: array, items: { type: string } } }
        - { name: piped, in: query, style: pipeDelimited, explode: false, schema: { type: array, items: { type: string } } }
components:
  parameters:
    Ids: { name: ids, in: query, explode: false, schema: { type: array, items: { type: string } } }
`;
    const { client, service } = await serve(json, {}, document);
    await client.get('/books', { query: { ids: ['1', 'a,b'], tags: ['x', 'y&z'], piped: [1, 2] } });
    await client.get('/books', { query: { ids: [], q: undefined, after: null, first: 0 } });
    expect(service.requests.map(({ url }) => url)).toEqual([
      '/books?ids=1,a%2Cb&tags=x&tags=y%26z&piped=1%7C2',
      // A list of nothing is asked for as such: left out it would ask for everything.
      '/books?ids=&first=0',
    ]);
  });

  it('asks in the canonical words, whatever headers it is given', async () => {
    const { client, service } = await serve(json);
    await client.get('/books', { headers: { Accept: 'text/html', 'X-Trial': 'a' } });
    expect(service.requests[0]?.headers).toMatchObject({
      accept: 'application/json, */*;q=0.5',
      'accept-encoding': 'identity',
      'x-trial': 'a',
    });
  });

  it.each(['post', 'put', 'patch'] as const)('sends the body of a %s as JSON', async (method) => {
    const { client, service } = await serve(json);
    expect(await client[method]('/books', { body: { title: 'Zoë' } })).toEqual({ ok: true });
    expect(service.requests[0]).toMatchObject({
      method: method.toUpperCase(),
      body: '{"title":"Zoë"}',
      headers: { 'content-type': 'application/json', 'content-length': '16' },
    });
  });

  it('gives undefined for an answer without content', async () => {
    const { client } = await serve((_request, response) => void response.writeHead(204).end());
    expect(await client.delete('/books/{id}', { params: { id: '1' } })).toBeUndefined();
  });
});

describe('an answer that is none', () => {
  it.each([301, 400, 404, 409, 503])(
    'is an error for status %i, which says the status and nothing else',
    async (status) => {
      const { client } = await serve(
        (_request, response) => void response.writeHead(status, { location: '/x' }).end('secret'),
        {
          retry: { attempts: 0 },
        },
      );
      const error = await failure(client.get('/books'));
      expect(error).toMatchObject({
        code: 'UPSTREAM_ERROR',
        upstream: 'books',
        extensions: { upstreamStatus: status },
      });
      expect(error.message).toBe(`'books' answered with status ${status}.`);
    },
  );

  it('is null for a 404 to find, which is no error there', async () => {
    const { client } = await serve((_request, response) => void response.writeHead(404).end('{}'));
    expect(await client.find('/books/{id}', { params: { id: '1' } })).toBeNull();
  });

  it.each([
    ['{"id":1,}', 'is no JSON at position 8 of 9'],
    ['{"title":"Emma', 'ends too early at position 14 of 14'],
    ['["\\x"]', 'is no JSON at position 2 of 6'],
    ['<html>', 'is no JSON at position 0 of 6'],
    ['', 'ends too early at position 0 of 0'],
  ])('says to the log where %j stops being JSON, and to the client only whose it is', async (body, fault) => {
    const { client } = await serve(
      (_request, response) => void response.writeHead(200, { 'content-type': 'application/json' }).end(body),
    );
    const error = await failure(client.get('/books', { query: { email: 'a@example.com' } }));
    expect(error).toMatchObject({ code: 'UPSTREAM_BAD_RESPONSE', upstream: 'books' });
    expect(error.message).toBe("'books' gave an answer that cannot be read.");
    expect(String(error.cause)).toBe(`Error: the answer of 'books' to GET /books ${fault}`);
  });

  it('is not read as JSON when it is not UTF-8 (RFC 8259 §8.1)', async () => {
    const latin1 = Buffer.from('{"title":"Zo\xeb"}', 'latin1');
    const { client } = await serve(
      (_request, response) => void response.writeHead(200, { 'content-type': 'application/json' }).end(latin1),
    );
    expect(String((await failure(client.get('/books'))).cause)).toContain('is not UTF-8');
  });

  it.each(['text/html', 'application/jsonp', undefined])(
    'is not read as JSON when it says that it is %s',
    async (type) => {
      const { client } = await serve(
        (_request, response) =>
          void response.writeHead(200, type === undefined ? {} : { 'content-type': type }).end('{}'),
      );
      const error = await failure(client.get('/books'));
      expect(error.code).toBe('UPSTREAM_BAD_RESPONSE');
      expect(String(error.cause)).toContain(`has content-type ${type ?? 'none'}`);
    },
  );

  it.each(['application/json; charset=utf-8', 'Application/JSON', 'application/vnd.books+json'])(
    'is read as JSON when it says that it is %s',
    async (type) => {
      const { client } = await serve(
        (_request, response) => void response.writeHead(200, { 'content-type': type }).end('[1]'),
      );
      expect(await client.get('/books')).toEqual([1]);
    },
  );

  it.each(['with its length told', 'without'])('is too large above maxResponseBytes, %s', async (told) => {
    const body = JSON.stringify('x'.repeat(2000));
    const { client } = await serve(
      (_request, response) => {
        const length = told === 'without' ? {} : { 'content-length': String(body.length) };
        response.writeHead(200, { 'content-type': 'application/json', ...length });
        response.end(body);
      },
      { maxResponseBytes: '1KiB' },
    );
    expect(await failure(client.get('/books'))).toMatchObject({
      code: 'UPSTREAM_RESPONSE_TOO_LARGE',
      upstream: 'books',
    });
  });

  it('cannot go on without end, an error no more than a success', async () => {
    const closed = Promise.withResolvers<void>();
    const { client } = await serve(
      (_request, response) => {
        response.writeHead(500, { 'content-type': 'application/json' });
        response.on('close', () => closed.resolve());
        const more = (): void => {
          if (!response.destroyed) response.write('x'.repeat(1024), () => setImmediate(more));
        };
        more();
      },
      { maxResponseBytes: '64KiB', retry: { attempts: 0 } },
    );
    expect((await failure(client.get('/books'))).code).toBe('UPSTREAM_ERROR');
    await closed.promise;
  });
});

describe('a call whose request ends', () => {
  /** A service that never answers, and when it is asked and left. */
  async function hanging() {
    const asked = Promise.withResolvers<void>();
    const left = Promise.withResolvers<void>();
    const served = await serve((_request, response) => {
      response.on('close', () => left.resolve());
      asked.resolve();
    });
    return { ...served, asked: asked.promise, left: left.promise };
  }

  it('is aborted at the upstream, with the reason of the cancellation', async () => {
    const { client, request, asked, left } = await hanging();
    const call = failure(client.get('/books'));
    await asked;
    const reason = new WeirError('CLIENT_CLOSED_REQUEST');
    request.cancellation.cancel(reason);
    expect(await call).toBe(reason);
    await left;
  });

  it('names its upstream and the time spent when it was the deadline', async () => {
    const { client, request, asked } = await hanging();
    const call = failure(client.get('/books'));
    await asked;
    request.cancellation.cancel(new WeirError('DEADLINE_EXCEEDED'));
    const error = await call;
    expect(error).toMatchObject({ code: 'DEADLINE_EXCEEDED', upstream: 'books' });
    expect(error.extensions?.['elapsedMs']).toBeGreaterThanOrEqual(0);
  });

  it('is not sent when the request has ended before', async () => {
    const { client, request, service } = await serve(json);
    request.cancellation.cancel(new WeirError('CLIENT_CLOSED_REQUEST'));
    expect((await failure(client.get('/books'))).code).toBe('CLIENT_CLOSED_REQUEST');
    expect(service.requests).toEqual([]);
  });

  it('is aborted by a signal of its own too', async () => {
    const { client, asked, left } = await hanging();
    const controller = new AbortController();
    const call = failure(client.get('/books', { signal: controller.signal }));
    await asked;
    controller.abort();
    expect((await call).code).toBe('CLIENT_CLOSED_REQUEST');
    await left;
  });

  it('leaves nothing behind at the request once it has been answered', async () => {
    const { client, request } = await serve(json);
    await Promise.all([client.get('/books'), client.get('/books', { query: { first: 1 } })]);
    expect(request.cancellation.on(() => undefined)).toBe(0);
  });
});
