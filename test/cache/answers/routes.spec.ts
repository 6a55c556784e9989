import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { send } from '../../support/raw-client.ts';
import { acme, bearing, forHour, startAnswerServer, type AnswerServer } from './server.ts';

const query = 'query Named($id: ID!) { thing(id: $id) { id name } }';

let folder: string;
let server: AnswerServer;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'weir-routes-'));
  writeFileSync(join(folder, 'named.graphql'), query);
  server = await startAnswerServer({
    graphql: { documents: { path: folder } },
    routes: [
      { path: '/named/:id', operation: { document: 'named', result: 'thing' } },
      { path: '/whole/:id', operation: 'named' },
      { path: '/own/:id', operation: { document: 'named', result: 'thing' }, auth: 'required' },
    ],
  });
  server.gives('/things', { items: [{ id: '1', name: 'one' }] }, forHour);
});

afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true });
});

const ask = (path: string, headers: Record<string, string> = {}) => send(server.url + path, { headers });

test('A route that an operation answers has the finished answer that /graphql has, and says how long it is good', async () => {
  const made = await ask('/named/1');
  expect(made.json()).toEqual({ id: '1', name: 'one' });
  expect(made.headers['cache-control']).toMatch(/^public, max-age=3\d{3}$/);
  expect(made.headers).toMatchObject({ age: '0', vary: 'Accept', 'cache-status': 'weir; fwd=miss; stored' });
  const again = await ask('/named/1');
  expect([again.text, again.headers.etag]).toEqual([made.text, made.headers.etag]);
  expect(again.headers['cache-status']).toMatch(/^weir; hit/);
  const asked = await server.post({ query, variables: { id: '1' } });
  expect(asked.headers['cache-status']).toMatch(/^weir; hit/);
  expect(server.service.requests).toHaveLength(1);
  // Each way of putting it has a validator of its own.
  const whole = await ask('/whole/1');
  expect(new Set([made.headers.etag, asked.headers.etag, whole.headers.etag]).size).toBe(3);
  expect((await ask('/named/1', { 'if-none-match': made.headers.etag! })).status).toBe(304);
  expect((await ask('/named/1', { 'if-none-match': whole.headers.etag! })).status).toBe(200);
});

test('What a route asks a credential for is for no cache between', async () => {
  await ask('/named/1');
  const answer = await ask('/own/1', bearing(acme));
  expect(answer.headers['cache-status']).toMatch(/^weir; hit/);
  expect(answer.headers['cache-control']).toMatch(/^private, max-age=3\d{3}$/);
  expect(answer.headers.vary).toBe('Accept, authorization, x-api-key');
  expect((await ask('/own/1')).status).toBe(401);
});
