import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { errorCodes } from '#core/errors.ts';
import { startGateway } from '../support/gateway.ts';
import { fencedBlocks } from '../support/markdown.ts';
import { send } from '../support/raw-client.ts';
import { createProject } from './project.ts';

const root = resolve(import.meta.dirname, '../..');
const read = (file: string) => readFileSync(join(root, file), 'utf8');

const orders = `openapi: 3.1.0
info: { title: Orders, version: '1' }
paths:
  /orders:
    post:
      requestBody:
        content:
          application/json:
            schema:
              type: object
              properties: { lines: { type: array, items: { properties: { qty: { type: integer, minimum: 1 } } } } }
      responses: { '201': { description: Placed. } }
`;

describe('weir openapi', () => {
  test('prints what a gateway serves at /openapi.json', async () => {
    const config = 'upstreams: { a: { endpoints: [http://127.0.0.1:9] } }\nroutes: [{ path: /a, upstream: a }]\n';
    const { status, stdout } = await createProject({ 'gateway.yaml': config }).weir('openapi');
    expect(status).toBe(0);
    const gateway = await startGateway(config);
    expect(JSON.parse(stdout)).toEqual((await send(`${gateway.url}/openapi.json`)).json());
    await gateway.stop();
  });

  test('prints it where it is not served, too', async () => {
    const { stdout } = await createProject({ 'gateway.yaml': 'docs: { enabled: false }\n' }).weir('openapi');
    expect(JSON.parse(stdout)).toMatchObject({ openapi: '3.1.0', paths: {} });
  });
});

describe('docs/contracts.md', () => {
  test('shows configurations that pass `weir check`', { timeout: 60_000 }, async () => {
    const configs = fencedBlocks(read('docs/contracts.md')).filter(({ info }) => info === 'yaml');
    expect(configs).toHaveLength(3);
    for (const { text } of configs) {
      const project = createProject({ 'gateway.yaml': text, 'orders.openapi.yaml': orders });
      expect(await project.weir('check')).toMatchObject({ status: 0, stderr: '' });
    }
  });
});

describe('docs/consumers/errors.md', () => {
  const page = read('docs/consumers/errors.md');

  test('has every code that a client can meet', () => {
    for (const code of errorCodes) expect(page.includes(`| \`${code}\` `)).toBe(code !== 'CLIENT_CLOSED_REQUEST');
  });

  test('shows a problem as a gateway answers it', async () => {
    const shown = fencedBlocks(page).find(({ info }) => info === 'json');
    const { requestId: _, ...problem } = JSON.parse(shown!.text) as Record<string, unknown>;
    const project = createProject({ 'orders.yaml': orders });
    const gateway = await startGateway({
      upstreams: { orders: { endpoints: ['http://127.0.0.1:9'], openapi: join(project.folder, 'orders.yaml') } },
      routes: [{ path: '/orders', upstream: 'orders', validate: { request: 'enforce' } }],
    });
    const answer = await send(`${gateway.url}/orders`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"lines":[{"qty":1},{"qty":0}]}',
    });
    expect(answer.json()).toEqual({ ...problem, requestId: answer.headers['x-request-id'] });
    await gateway.stop();
  });
});
