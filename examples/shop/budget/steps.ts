import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { crowd, takeTheRest, type Tally } from './crowd.ts';
import { counters, counting, left, operation, rest, soon } from './questions.ts';
import { runProcess } from './processes.ts';
import type { Screen } from './screen.ts';
import { quota, weir, type Stage } from './stage.ts';
import { copyModules, takeBatchingAway } from './modules.ts';

const query = 'query Storefront { users(first: 10) { name orders(first: 5) { total { amount } } } }';

const clients = 200;

/** What a query costs is known before it is run, and nobody is called for it. */
export async function explain({ gateways, shop }: Stage, screen: Screen): Promise<void> {
  screen.step('What does a query cost?', query, '', 'x-weir-explain: plan, at the first gateway');
  const before = await counters(shop);
  const { status, extensions } = await operation(gateways[0], 'demo-pro', query, { 'x-weir-explain': 'plan' });
  const plan = extensions.explain;
  const called = plan?.fields.filter(({ upstream }) => upstream !== undefined) ?? [];
  for (const { path, upstream, calls } of called)
    screen.show(`${path.padEnd(14)} ${upstream} ${calls} ${calls === 1 ? 'call' : 'calls'} at most`);
  screen.show(`estimated ${plan?.cost.estimated} calls, objects included`);
  const after = await counters(shop);
  screen.show(`services   ${after.text}`);
  screen.claim('the plan names each field that calls a service', status === 200 && called.length === 2);
  screen.claim('no service was called for it', after.total === before.total);
  screen.claim(`nothing was paid for it: ${quota} calls are left`, (await left(gateways[0], 'demo-pro')) === quota);
}

/** It is run, and pays what it called. A REST call at the other gateway pays from the same bucket. */
export async function bothDoors({ gateways, shop }: Stage, screen: Screen): Promise<void> {
  screen.step('Run it, then ask by REST at the other gateway', 'One bucket, in one unit: calls to services.');
  const [first, second] = gateways;
  const { status, extensions } = await operation(first, 'demo-pro', query);
  const actual = extensions.cost?.actual ?? Number.NaN;
  const after = await counters(shop);
  screen.show(`GraphQL    ${status}, ${extensions.cost?.estimated} reserved, ${actual} called`);
  screen.show(`services   ${after.text}`);
  screen.claim('it paid what the services counted', status === 200 && actual === after.total);
  const settled = await soon(async () => (await left(second, 'demo-pro')) === quota - actual);
  screen.claim('the rest of what it had reserved is given back, and the other gateway knows', settled);
  const answer = await rest(second, 'demo-pro', '/v1/orders/7');
  const both = await counters(shop);
  screen.show(`REST       ${answer.status}, ${answer.remaining} left`);
  screen.show(`services   ${both.text}`);
  screen.claim('the REST call paid one call from the same bucket', answer.remaining === quota - actual - 1);
}

/** Batching is lost in a copy of the modules, and CI says so by the price. */
export async function priceInCi({ folder, config }: Stage, screen: Screen): Promise<void> {
  screen.step('Take the batching away, and let CI look at the price', 'weir check --operations … --budget budget.json');
  const operations = join(folder, 'operations');
  await mkdir(operations);
  await writeFile(join(operations, 'storefront.graphql'), `${query}\n`);
  const check = ['check', '--config', config, '--operations', operations, '--budget', join(folder, 'budget.json')];
  const before = await copyModules(folder, 'before');
  const recorded = await runProcess([...weir, ...check, '--modules', before, '--write-budget'], folder);
  if (recorded.status !== 0) screen.show(recorded.text);
  screen.claim('its price as it is has been recorded', recorded.status === 0);
  const changed = await copyModules(folder, 'changed');
  await takeBatchingAway(changed);
  screen.show('- orders(first: Int! = 10): [Order!] @upstream(name: "orders", batch: 100)');
  screen.show('+ orders(first: Int! = 10): [Order!] @upstream(name: "orders")\n');
  const { status, text } = await runProcess([...weir, ...check, '--modules', changed], folder);
  const errors = text.split('\n').filter((line) => line.startsWith('error: '));
  for (const error of errors) screen.show(error.replaceAll(`${folder}/`, ''));
  screen.claim('the check fails', status === 1);
  screen.claim(
    'for the price alone, and it names the field that did it',
    errors.length === 1 && errors[0]!.includes('users.orders (User.orders) takes 10 calls instead of 1'),
  );
}

/** All at once: the services are asked exactly what the quota allows. */
export async function everybodyAtOnce(stage: Stage, screen: Screen): Promise<void> {
  const { gateways, shop } = stage;
  screen.step(
    `${clients} clients with one key, by both doors of both gateways`,
    'The services count, and stop at the quota.',
  );
  const tally = await withCounters(stage, screen, () => crowd(gateways, 'demo-pro', clients));
  await takeTheRest(gateways, 'demo-pro');
  const after = await counters(shop);
  screen.show(`services   ${after.text}`);
  screen.show(`answers    ${written(tally)}`);
  screen.claim(
    `the services were called ${quota} times since the start: the quota, to the call`,
    after.total === quota,
  );
  screen.claim('whoever was not answered was told 429, and nobody anything else', onlyAdmittedOrRefused(tally));
  const refused = await Promise.all(gateways.map((gateway) => rest(gateway, 'demo-pro', '/v1/orders/1')));
  const told = refused.every(({ status, retryAfterS = 0 }) => status === 429 && retryAfterS >= 1);
  screen.claim(`both gateways say when to come back: Retry-After: ${refused[0]!.retryAfterS}`, told);
}

/** Nobody waits for a Redis that stands still, and what is admitted meanwhile is bounded. */
export async function withoutRedis(stage: Stage, screen: Screen): Promise<void> {
  const { gateways, shop, redis } = stage;
  screen.step(
    'Redis stands still (SIGSTOP)',
    'Another consumer, who has used nothing yet. Each gateway enforces its half of the quota.',
  );
  const before = await counters(shop);
  redis.signal('SIGSTOP');
  const tally = await withCounters(stage, screen, () => crowd(gateways, 'demo-partner', clients));
  await takeTheRest(gateways, 'demo-partner');
  const after = await counters(shop);
  screen.show(`services   ${after.text}`);
  screen.show(`answers    ${written(tally)}`);
  const states = await Promise.all(gateways.map(counting));
  screen.show(`/readyz    ${states.join('; ')}`);
  screen.claim('everybody was answered while Redis stood still, by 200 or 429', onlyAdmittedOrRefused(tally));
  screen.claim(
    'both gateways say that they go by their share',
    states.every((state) => state === 'local-share, 2 instances'),
  );
  screen.claim(`their halves make one quota: ${quota} calls`, after.total - before.total === quota);

  screen.step('Redis goes on (SIGCONT)', 'What was asked of it meanwhile arrives there now.');
  redis.signal('SIGCONT');
  const again = await soon(async () => (await Promise.all(gateways.map(counting))).every(isShared));
  screen.show(`/readyz    ${(await Promise.all(gateways.map(counting))).join('; ')}`);
  screen.claim('both gateways count in Redis again', again);
  const whole = (await left(gateways[0], 'demo-partner')) === quota;
  screen.claim('what came too late did nothing, and nothing is charged twice: the quota there is untouched', whole);
}

export function isShared(state: string): boolean {
  return state === 'redis, 2 instances';
}

/** Shows the counters of the services while something goes on. */
async function withCounters<T>({ shop }: Stage, screen: Screen, work: () => Promise<T>): Promise<T> {
  const over = new AbortController();
  const watch = async (): Promise<void> => {
    while (!over.signal.aborted) {
      screen.show(`services   ${(await counters(shop)).text}`);
      await sleep(400);
    }
  };
  const watching = watch();
  try {
    return await work();
  } finally {
    over.abort();
    await watching;
  }
}

function onlyAdmittedOrRefused(tally: Tally): boolean {
  return Object.keys(tally).toSorted().join() === '200,429 RATE_LIMITED';
}

function written(tally: Tally): string {
  return Object.entries(tally)
    .map(([status, count]) => `${count} × ${status}`)
    .join(', ');
}
