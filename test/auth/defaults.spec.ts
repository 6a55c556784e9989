import { resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { newApiKey } from '#policies/auth/api-keys/format.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { send } from '../support/raw-client.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';

/** `auth.default` and `graphql.auth`: what holds where a route, or /graphql, says nothing of its own. */

const known = newApiKey();
let upstream: TestUpstream;
let gateway: TestGateway;

beforeAll(async () => {
  upstream = await startUpstream((_request, response) => void response.end('ok'));
});

afterEach(() => gateway.stop());
afterAll(() => upstream.close());

async function start(auth: unknown, graphql: object = {}): Promise<void> {
  const config = {
    upstreams: { vault: { endpoints: [upstream.url] } },
    routes: [
      { path: '/silent', upstream: 'vault' },
      { path: '/open', upstream: 'vault', auth: 'none' },
      { path: '/shut', upstream: 'vault', auth: 'required' },
    ],
    auth: { default: auth, failures: { free: 1_000 } },
    consumers: [{ id: 'acme', scopes: ['orders:read'], keys: [known.hash] }],
    graphql,
  };
  gateway = await startGateway(config, { modules: resolve('test/fixtures/guarded') });
}

const headers = { 'x-api-key': known.key };

async function statuses(sent: Record<string, string> = {}): Promise<Record<string, number>> {
  const of: Record<string, number> = {};
  for (const path of ['/silent', '/open', '/shut'])
    of[path] = (await send(gateway.url + path, { headers: sent })).status;
  const body = JSON.stringify({ query: '{ __typename }' });
  const json = { ...sent, 'content-type': 'application/json' };
  of['/graphql'] = (await send(`${gateway.url}/graphql`, { method: 'POST', headers: json, body })).status;
  return of;
}

describe('auth.default', () => {
  test('is optional: a route that says nothing serves everybody', async () => {
    await start(undefined);
    expect(await statuses()).toEqual({ '/silent': 200, '/open': 200, '/shut': 401, '/graphql': 200 });
  });

  test('is for routes that say nothing, and for /graphql; what a route says itself stands', async () => {
    await start('required');
    expect(await statuses()).toEqual({ '/silent': 401, '/open': 200, '/shut': 401, '/graphql': 401 });
    expect(await statuses(headers)).toEqual({ '/silent': 200, '/open': 200, '/shut': 200, '/graphql': 200 });
  });

  test('may ask for scopes', async () => {
    await start({ scopes: { all: ['orders:write'] } });
    expect(await statuses(headers)).toEqual({ '/silent': 403, '/open': 200, '/shut': 200, '/graphql': 403 });
  });
});

describe('graphql.auth', () => {
  test('stands before auth.default, for /graphql alone', async () => {
    await start('required', { auth: 'optional' });
    expect(await statuses()).toEqual({ '/silent': 401, '/open': 200, '/shut': 401, '/graphql': 200 });
  });
});
