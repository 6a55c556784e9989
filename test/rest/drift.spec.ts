import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { startGateway, untilIdle, type TestGateway } from '../support/gateway.ts';
import { send } from '../support/raw-client.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';

const document = `openapi: 3.1.0
info: { title: Orders, version: '1' }
paths:
  /orders:
    get:
      responses:
        '200':
          description: All.
          content:
            application/json:
              schema:
                type: object
                required: [orders]
                properties: { orders: { type: array, items: { $ref: '#/components/schemas/Order' } } }
        4XX: { description: Not so. }
components:
  schemas:
    Order:
      type: object
      required: [id, total]
      additionalProperties: false
      properties:
        id: { type: string }
        total: { type: integer }
        at: { type: string, format: date-time }
        notes: { type: object, additionalProperties: { type: string } }
`;

const folder = mkdtempSync(join(tmpdir(), 'weir-drift-'));

let upstream: TestUpstream;
let answer: { readonly status?: number; readonly type?: string; readonly body: string };

beforeAll(async () => {
  writeFileSync(join(folder, 'orders.yaml'), document);
  upstream = await startUpstream((_request, response) => {
    response.writeHead(answer.status ?? 200, { 'content-type': answer.type ?? 'application/json' });
    response.end(answer.body);
  });
});

afterAll(async () => {
  await upstream.close();
  rmSync(folder, { recursive: true });
});

async function observed(validate: object = {}): Promise<TestGateway> {
  const gateway = await startGateway({
    upstreams: { orders: { endpoints: [upstream.url], openapi: join(folder, 'orders.yaml'), retry: { attempts: 0 } } },
    routes: [
      { name: 'orders', path: '/orders', upstream: 'orders', validate: { response: 'log', sample: 1, ...validate } },
    ],
  });
  onTestFinished(() => gateway.stop());
  return gateway;
}

/** Sends each answer through the gateway, whole and unchanged. */
async function pass(gateway: TestGateway, answers: readonly (typeof answer)[]): Promise<void> {
  for (const each of answers) {
    answer = each;
    const got = await send(`${gateway.url}/orders`);
    expect([got.status, got.text]).toEqual([each.status ?? 200, each.body]);
  }
  await untilIdle(gateway);
  // Answers are looked at once they are out.
  await new Promise((resolve) => setImmediate(resolve));
}

const withOrders = (...orders: readonly object[]) => ({ body: JSON.stringify({ orders }) });

const metricsOf = async ({ adminUrl }: TestGateway) => (await fetch(`${adminUrl}/metrics`)).text();

/** What the log says of drift, once the gateway has stopped. */
async function told(gateway: TestGateway) {
  await gateway.gateway.stop();
  const lines = gateway.log.filter(({ msg }) => msg === 'contract drift');
  return lines.flatMap(({ findings }) => (findings as { finding: string }[]).map(({ finding }) => finding));
}

describe('Answers that are not as the document says', () => {
  test('pass unchanged, and are told by place, with their share of those that were looked at', async () => {
    const gateway = await observed();
    const good = withOrders({ id: '1', total: 1 });
    const drifted = withOrders({ id: '1', total: '1' }, { id: '2', total: '2' });
    await pass(gateway, [drifted, good, good, good]);
    await expect
      .poll(() => metricsOf(gateway))
      .toContain(
        'weir_contract_drift_total{http_route="orders",weir_message="response",weir_contract_place="orders[].total"} 1',
      );
    expect(await told(gateway)).toEqual(['`orders[].total` became string, 25 %']);
    const line = gateway.log.find(({ msg }) => msg === 'contract drift');
    expect(line).toMatchObject({ route: 'orders', operation: 'GET /orders', message: 'response', checked: 4 });
  });

  test.each<[string, typeof answer, string]>([
    ['a member that is missing', withOrders({ id: '1' }), '`orders[].total` is missing, 100 %'],
    ['a member that is new', withOrders({ id: '1', total: 1, extra: 1 }), '`orders[].extra` is not documented, 100 %'],
    ['null', withOrders({ id: null, total: 1 }), '`orders[].id` became null, 100 %'],
    ['another format', withOrders({ id: '1', total: 1, at: 'today' }), '`orders[].at` is no date-time, 100 %'],
    ['what is no JSON', { body: '<html>' }, '`body` is not JSON, 100 %'],
    [
      'another content type',
      { body: '<html>', type: 'text/html' },
      '`content-type` text/html is not documented, 100 %',
    ],
    ['a status that nobody knows', { body: '', status: 302 }, '`status` 302 is not documented, 100 %'],
  ])('are found: %s', async (_, drifted, finding) => {
    const gateway = await observed();
    await pass(gateway, [drifted]);
    await expect.poll(() => metricsOf(gateway)).toContain('weir_contract_drift_total{');
    expect(await told(gateway)).toEqual([finding]);
  });

  test('are none where a range of statuses is documented, or where the service fails', async () => {
    const gateway = await observed();
    await pass(gateway, [{ status: 404, body: '{}' }, { status: 500, body: 'oh' }, withOrders({ id: '1', total: 1 })]);
    expect(await told(gateway)).toEqual([]);
  });

  test('are not looked at when too long, or when none is sampled', async () => {
    const gateway = await observed();
    await pass(gateway, [{ body: JSON.stringify({ orders: 'x'.repeat(300 * 1024) }) }]);
    expect(await told(gateway)).toEqual([]);
    const none = await observed({ sample: 0 });
    await pass(none, [{ body: '{}' }]);
    expect(await told(none)).toEqual([]);
  });

  test('do not name more places than are bounded, whatever members they have', async () => {
    const gateway = await observed();
    const notes = (from: number) =>
      Object.fromEntries(Array.from({ length: 200 }, (_, index) => [`n${from + index}`, 1]));
    await pass(
      gateway,
      [0, 200, 400, 600].map((from) => withOrders({ id: '1', total: 1, notes: notes(from) })),
    );
    await expect.poll(() => metricsOf(gateway)).toContain('weir_contract_place="other"');
    const places = (await metricsOf(gateway)).match(/^weir_contract_drift_total\{/gm) ?? [];
    expect(places.length).toBeLessThanOrEqual(501);
  });
});
