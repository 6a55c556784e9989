/**
 * A kilobyte out of the store: what an answer costs that no upstream is asked for. Bare, by both doors, beside two caches that do
 * nothing else; and with what a gateway does besides.
 */
import { hash } from 'node:crypto';
import { join } from 'node:path';
import type { Request } from '../load.ts';
import type { Scenario, Subject } from '../scenario.ts';
import { nginxCache } from '../subjects/nginx.ts';
import { varnish } from '../subjects/varnish.ts';
import { weir } from '../subjects/weir.ts';
import { startUpstream } from '../upstreams/upstream.ts';

const baseline = 'nginx proxy_cache';

/** All of them are stored after the first round. */
const targets = 256;

/** As long as those that the gateway makes. */
const key = `weir_live_${'k'.repeat(38)}`;

/** As long as the answers of the other scenarios: 1 KiB, by REST and by GraphQL. */
const product = { id: 'p1', name: 'x'.repeat(1024 - 43) };
const answer = JSON.stringify({ data: { product } });

const operation: Request = {
  method: 'POST',
  path: '/graphql',
  headers: { accept: 'application/json', 'content-type': 'application/json' },
  body: JSON.stringify({ query: '{ product(id: "p1") { id name } }' }),
};

const requests = (headers: Readonly<Record<string, string>> = {}): Request[] =>
  Array.from({ length: targets }, (_, index) => ({
    method: 'GET',
    path: `/items/${index}`,
    headers: { accept: 'application/json', ...headers },
  }));

/** A location of the upstream whose answers are stored for an hour. */
const storable = (path: string, body: string): string => `    location ${path} {
      add_header cache-control 'public, max-age=3600';
      return 200 '${body}';
    }`;

export const cache: Scenario = {
  name: 'cache',
  title: 'GET out of the store, answers of 1 KiB',
  baseline,
  async prepare(run, stack) {
    const locations = [storable('/items/', answer), storable('/products', JSON.stringify({ items: [product] }))];
    const upstream = await startUpstream(run, stack, { locations: locations.join('\n') });
    const limit = { algorithm: 'sliding-window', quota: 1_000_000_000, window: '1h' };
    const bare = {
      upstreams: { items: { endpoints: [upstream.origin], identity: 'none' } },
      routes: [{ path: '/items{/*rest}', upstream: 'items', auth: 'none' }],
    };
    const whole = {
      ...bare,
      routes: [{ path: '/items{/*rest}', upstream: 'items', auth: 'required' }],
      consumers: [{ id: 'bench', tier: 'pro', keys: [`sha256:${hash('sha256', key)}`] }],
      tiers: { pro: { limits: [{ name: 'hour', unit: 'requests', ...limit }] } },
    };
    const quiet = { telemetry: { log: 'error', sampleRatio: 0 } };
    const services = ['users', 'orders', 'catalog', 'reviews'].map((name) => [name, { endpoints: [upstream.origin] }]);
    const graphql = { upstreams: Object.fromEntries(services) as object };
    const subjects = (what: string, config: object, sent: readonly Request[]) =>
      run.checkouts.map((checkout): Subject => {
        const named = { ...checkout, name: `${checkout.name}, ${what}` };
        const modules = sent[0] === operation && { modules: join(checkout.folder, 'resolvers') };
        return { ...weir(run, named, { ...config, ...modules }), requests: sent };
      });
    return {
      upstream,
      workload: { connections: 64, requests: requests(), answer, compareAll: false },
      subjects: [
        ...subjects('nothing else on', { ...bare, ...quiet }, requests()),
        ...subjects('log, traces, key and limits', whole, requests({ 'x-api-key': key })),
        ...subjects('GraphQL, nothing else on', { ...graphql, ...quiet }, [operation]),
        nginxCache(run, baseline, upstream.origin),
        varnish(run, upstream.origin),
      ],
    };
  },
};
