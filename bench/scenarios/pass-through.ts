/** A kilobyte through the gateway: what the pipeline and the upstream stack cost when there is nothing else to do. */
import type { Request } from '../load.ts';
import type { Prepared, Run, Scenario } from '../scenario.ts';
import { nginxProxy } from '../subjects/nginx.ts';
import { peer } from '../subjects/peer.ts';
import { weir } from '../subjects/weir.ts';
import { fixedAnswer, startFixedUpstream } from '../upstreams/fixed.ts';

const baseline = 'Express + http-proxy-middleware';

/** Far more targets than connections, so that no two in flight are the same. */
const targets = 4096;

async function passThrough(
  run: Run,
  stack: AsyncDisposableStack,
  request: (path: string) => Request,
): Promise<Prepared> {
  const upstream = await startFixedUpstream(run, stack);
  const env = { UPSTREAM: upstream.origin };
  const config = {
    upstreams: { items: { endpoints: [upstream.origin] } },
    routes: [{ path: '/items{/*rest}', upstream: 'items' }],
  };
  return {
    upstream,
    workload: {
      connections: 64,
      requests: Array.from({ length: targets }, (_, index) => request(`/items/${index}`)),
      answer: fixedAnswer,
      compareAll: false,
    },
    subjects: [
      ...run.checkouts.map((checkout) => weir(run, checkout, config)),
      peer(baseline, 'express-hpm.ts', env),
      peer('fastify + reply-from', 'fastify-reply-from.ts', env),
      peer('node:http + undici dispatch', 'undici-dispatch.ts', env),
      nginxProxy(run, upstream.origin),
    ],
  };
}

export const get: Scenario = {
  name: 'get',
  title: 'Pass-through GET, answers of 1 KiB',
  baseline,
  prepare: (run, stack) =>
    passThrough(run, stack, (path) => ({ method: 'GET', path, headers: { accept: 'application/json' } })),
};

export const post: Scenario = {
  name: 'post',
  title: 'Pass-through POST, 1 KiB of JSON each way',
  baseline,
  prepare: (run, stack) =>
    passThrough(run, stack, (path) => ({
      method: 'POST',
      path,
      headers: { accept: 'application/json', 'content-type': 'application/json' },
      body: fixedAnswer,
    })),
};
