/**
 * An operation over five levels of the shop. The gateway runs it once over the real services while its calls and their
 * answers are recorded; the rounds are over these answers, so that it is not the services that limit them. Batches depend
 * on which answer comes first, so now and then one is asked for that was not recorded, and a service answers it.
 */
import { mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { spawnShop } from '../../examples/shop/services/spawn.ts';
import type { Request } from '../load.ts';
import { freePort } from '../ports.ts';
import { pin, Running } from '../processes.ts';
import type { Checkout, Run, Scenario, Subject } from '../scenario.ts';
import { peer } from '../subjects/peer.ts';
import { weir } from '../subjects/weir.ts';
import { Recorder } from '../upstreams/recorder.ts';
import { startReplay } from '../upstreams/replay.ts';

const query =
  '{ users(first: 10) { orders(first: 5) { items { product { name reviews(first: 3) { body author { name } } } } } } }';

const request: Request = {
  method: 'POST',
  path: '/graphql',
  headers: {
    'content-type': 'application/json',
    accept: 'application/json',
    // Identical reads in flight are sent once. A client's own deadline is its own, so with one each request pays for all
    // its calls, as it would if each were another user's; the table shows that it did.
    'x-weir-deadline-ms': '30000',
  },
  body: JSON.stringify({ query }),
};

/** Each service by the first segment of its paths. */
const services = { users: 'users', orders: 'orders', products: 'catalog', reviews: 'reviews' } as const;

type Segment = keyof typeof services;
type Origins = Readonly<Record<Segment, string>>;

const baseline = 'the same calls without GraphQL';

export const graphql: Scenario = {
  name: 'graphql',
  title: 'GraphQL: users → orders → products → reviews → authors',
  baseline,
  async prepare(run, stack) {
    const shop = await spawnShop({ ports: 'free' });
    stack.defer(() => shop.stop());
    for (const name of Object.values(services)) pin(shop[name].pid, run.cores.load);

    const recorder = new Recorder();
    const recorded = await bySegment((segment) => recorder.before(shop[services[segment]].url, stack));
    const [own, ...others] = run.checkouts.map((checkout) => gateway(run, checkout, recorded));
    const answer = await runOnce(run, own!);
    const plan = join(await mkdtemp(join(run.folder, 'plan-')), 'plan.json');
    await writeFile(plan, JSON.stringify({ waves: recorder.waves, answer }));
    // One that fails here fails as a subject too, and is reported there.
    for (const other of others) await runOnce(run, other).catch(() => undefined);

    const originals = await bySegment((segment) => shop[services[segment]].url);
    const upstream = await startReplay(run, stack, { answers: recorder.answers, services: originals });
    const replayed = await bySegment(() => upstream.origin);
    return {
      upstream,
      workload: { connections: 16, requests: [request], answer, compareAll: true },
      subjects: [
        ...run.checkouts.map((checkout) => gateway(run, checkout, replayed)),
        peer(baseline, 'calls-alone.ts', { UPSTREAM: upstream.origin, PLAN: plan }),
      ],
    };
  },
};

async function bySegment(origin: (segment: Segment) => string | Promise<string>): Promise<Origins> {
  const segments = Object.keys(services) as Segment[];
  const entries = segments.map(async (segment) => [segment, await origin(segment)] as const);
  return Object.fromEntries(await Promise.all(entries)) as Origins;
}

function gateway(run: Run, checkout: Checkout, origins: Origins): Subject {
  const upstreams = Object.entries(services).map(([segment, name]) => [
    name,
    // It is the execution that is measured.
    { endpoints: [origins[segment as Segment]], cache: false },
  ]);
  return weir(run, checkout, {
    modules: join(checkout.folder, 'resolvers'),
    upstreams: Object.fromEntries(upstreams) as Record<string, unknown>,
  });
}

/** The answer of a gateway to the operation. */
async function runOnce({ cores }: Run, { name, launch }: Subject): Promise<string> {
  const port = await freePort();
  const process = await Running.start({ name, core: cores.subject, ...(await launch(port)) }, port);
  try {
    return await process.ask(() => ask(port));
  } finally {
    await process.stop();
  }
}

/** @throws {Error} when the operation has errors: what failed would be measured as work */
async function ask(port: number): Promise<string> {
  const { method, headers, path, body = '' } = request;
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { method, headers, body });
  const answer = await response.text();
  if (response.status === 200 && !answer.includes('"errors"') && !answer.includes('"degraded"')) return answer;
  throw new Error(`The operation to measure fails: ${response.status} ${answer.slice(0, 500)}`);
}
