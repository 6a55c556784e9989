import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawnShop } from '../../examples/shop/services/spawn.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { startNameServer } from '../support/dns.ts';
import { startProgram } from '../support/program.ts';
import { RawClient, send, until } from '../support/raw-client.ts';
import { deadUrl, startUpstream } from '../support/upstream.ts';

/** What gateways show at `/metrics` after traffic of every kind: good, failing, refused, streamed, given up. */
export async function metricsOfAllTraffic(): Promise<string[]> {
  return Promise.all([
    metricsOfTheShop(),
    metricsOfFallbacks(),
    metricsOfLimits(),
    metricsOfAnswers(),
    metricsOfWorkers(),
  ]);
}

async function metricsOf({ adminUrl }: Pick<TestGateway, 'adminUrl'>): Promise<string> {
  return (await fetch(`${adminUrl}/metrics`)).text();
}

/** A consumer with a limit, whose Redis is not there. */
async function metricsOfLimits(): Promise<string> {
  const limit = { name: 'minute', algorithm: 'sliding-window', quota: 1, window: '1m' };
  const gateway = await startGateway({
    upstreams: { dead: { endpoints: [await deadUrl()] } },
    routes: [{ path: '/dead', upstream: 'dead' }],
    tiers: { anonymous: { limits: [limit] } },
    redis: { url: (await deadUrl()).replace('http', 'redis') },
  });
  await send(`${gateway.url}/dead`);
  const metrics = await metricsOf(gateway);
  await gateway.stop();
  return metrics;
}

/** An answer that comes from the store the second time, is not as its document says, and was asked of another as well. */
async function metricsOfAnswers(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'weir-metrics-'));
  const openapi = join(folder, 'orders.json');
  const content = { 'application/json': { schema: { type: 'object', properties: { total: { type: 'integer' } } } } };
  const get = { responses: { 200: { description: 'It.', content } } };
  const info = { title: 'Orders', version: '1' };
  writeFileSync(openapi, JSON.stringify({ openapi: '3.1.0', info, paths: { '/orders': { get } } }));
  const orders = await startUpstream((_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'max-age=60' });
    response.end('{"total":"1"}');
  });
  const gateway = await startGateway({
    upstreams: { orders: { endpoints: [orders.url], openapi }, copies: { endpoints: [orders.url] } },
    routes: [
      {
        name: 'orders',
        path: '/orders',
        upstream: 'orders',
        cache: {},
        validate: { response: 'log', sample: 1 },
        mirror: 'copies',
      },
    ],
  });
  try {
    for (let i = 0; i < 2; i++) await send(`${gateway.url}/orders`);
    // Answers are looked at once they are out.
    let metrics = '';
    await until(async () => {
      metrics = await metricsOf(gateway);
      return metrics.includes('weir_contract_drift_total{') && metrics.includes('weir_mirror_requests_total{');
    });
    return metrics;
  } finally {
    await gateway.stop();
    await orders.close();
    rmSync(folder, { recursive: true });
  }
}

/** The shop, and upstreams as sick as they come. */
async function metricsOfTheShop(): Promise<string> {
  const shop = await spawnShop({ ports: 'free' });
  const dead = await deadUrl();
  const names = await startNameServer();
  const silent = await startUpstream(() => {});
  const services = (['users', 'orders', 'catalog', 'reviews'] as const).map(
    (name) => [name, { endpoints: [shop[name].url] }] as const,
  );
  const gateway = await startGateway(
    {
      upstreams: {
        ...Object.fromEntries(services),
        dead: { endpoints: [dead], retry: { attempts: 1, backoff: '1ms' }, breaker: { failures: 3 } },
        narrow: { endpoints: [silent.url], maxInFlight: 1 },
        lost: { discovery: { kind: 'dns', name: 'nowhere.test', port: 80, servers: [names.address] } },
      },
      routes: [
        { name: 'dead', path: '/dead', upstream: 'dead' },
        { name: 'narrow', path: '/narrow', upstream: 'narrow' },
        { name: 'covered', path: '/covered', upstream: 'dead', fallback: { status: 200, body: {} } },
        { name: 'broken', path: '/broken', upstream: 'reviews', rewrite: '/reviews', timeout: '5s' },
      ] as unknown as object,
      graphql: { documents: { path: './resolvers/examples' } },
    },
    { modules: 'resolvers' },
  );
  const { url } = gateway;
  try {
    await Promise.all(['/v1/users', '/v1/nothing', '/v1/users/none'].map((path) => send(url + path)));
    await send(`${url}/v1/users`, { method: 'BREW' }).catch(() => {});
    // Lost connections, then an open breaker; and what stands in for it.
    for (let i = 0; i < 4; i++) await send(`${url}/dead`);
    await send(`${url}/covered`);
    await send(`${url}/v1/nothing`, { method: 'POST', body: 'x' });
    await query(gateway, '{ users(first: 1) { name } }');
    await query(gateway, 'mutation { __typename }');
    await query(gateway, readFileSync('resolvers/examples/2-a-page-of-products.graphql', 'utf8'));
    await query(gateway, '{ not graphql');
    // An upstream's own failure, passed on; and as fields that are missing.
    await shop.reviews.setFault({ errorRate: 1, errorStatus: 503 });
    await send(`${url}/broken`);
    await query(gateway, '{ products(first: 1) { nodes { reviews(first: 1) { rating } } } }');
    await abandoned(gateway, silent.requests);
    await subscribed(gateway);
    await gateway.gateway.control.reload();
    return await metricsOf(gateway);
  } finally {
    await gateway.stop();
    await Promise.all([shop.stop(), names.close(), silent.close()]);
  }
}

async function query({ url }: TestGateway, text: string): Promise<void> {
  await send(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify({ query: text }),
  });
}

/** A client that gives up on an upstream that does not answer, while another finds it full. */
async function abandoned({ url, log }: TestGateway, asked: readonly unknown[]): Promise<void> {
  const client = await RawClient.connect(url);
  client.head('GET /narrow HTTP/1.1', 'Host: shop');
  await until(() => asked.length > 0);
  // Another read, or it would wait for the first one's answer.
  await send(`${url}/narrow?other`);
  client.reset();
  await until(() => log.some(({ error }) => error === 'CLIENT_CLOSED_REQUEST'));
}

/** Server-sent events that their client leaves. */
async function subscribed({ url, log }: TestGateway): Promise<void> {
  const client = await RawClient.connect(url);
  const body = JSON.stringify({ query: 'subscription { orderEvents { type } }' });
  client
    .head(
      'POST /graphql HTTP/1.1',
      'Host: shop',
      'Accept: text/event-stream',
      'Content-Type: application/json',
      `Content-Length: ${body.length}`,
    )
    .write(body);
  await client.until('text/event-stream');
  client.reset();
  await until(() => log.some(({ operation }) => (operation as { type?: string } | undefined)?.type === 'subscription'));
}

/** Fields with a fallback, and a defect in a team's own code. */
async function metricsOfFallbacks(): Promise<string> {
  const gateway = await startGateway(
    { upstreams: { stock: { endpoints: [await deadUrl()] } } },
    { modules: 'test/fixtures/fallback' },
  );
  try {
    await query(gateway, '{ items(ids: ["1"]) { left } }');
    await query(gateway, '{ strict }');
    await query(gateway, '{ defect }');
    return await metricsOf(gateway);
  } finally {
    await gateway.stop();
  }
}

/** Several processes, whose Redis is not there. */
async function metricsOfWorkers(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'weir-metrics-'));
  const file = join(folder, 'gateway.yaml');
  writeFileSync(
    file,
    `listen: { port: 0, workers: 2, drainDelay: 0ms }
admin: { port: 0 }
upstreams: { a: { endpoints: ["${await deadUrl()}"] } }
redis: { url: "${(await deadUrl()).replace('http', 'redis')}" }
`,
  );
  const program = await startProgram(['gateway/main.ts', 'start', '--config', file], { cwd: process.cwd() });
  try {
    return await metricsOf({ adminUrl: String(program.listening.admin) });
  } finally {
    await program.stop();
    rmSync(folder, { recursive: true });
  }
}
