/**
 * `npm run demo:budget`: one budget for REST and GraphQL, over two gateways and a Redis, told by the counters of the services.
 * Each step says what it claims and whether that held; the exit status is 0 when all of it did.
 */
import { counting, soon } from './questions.ts';
import { Printer } from './screen.ts';
import { quota, setStage } from './stage.ts';
import { bothDoors, everybodyAtOnce, explain, isShared, priceInCi, withoutRedis } from './steps.ts';

const printer = new Printer((text) => void process.stdout.write(text));
const startedMs = performance.now();

try {
  process.exitCode = await play();
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
}

async function play(): Promise<number> {
  await using stack = new AsyncDisposableStack();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      void stack.disposeAsync().finally(() => process.exit(signal === 'SIGINT' ? 130 : 143));
    });
  }
  const stage = await setStage(stack);
  const { gateways, shop } = stage;
  printer.step(
    'Two gateways, one Redis, four services',
    `Each consumer may make ${quota} calls to services in an hour, by whichever door of whichever gateway.`,
  );
  for (const [place, { url }] of gateways.entries()) printer.show(`gateway ${place + 1}  ${url}`);
  for (const name of ['users', 'orders', 'catalog', 'reviews'] as const)
    printer.show(`${name.padEnd(9)}  ${shop[name].url}/_counters`);
  const together = await soon(async () => (await Promise.all(gateways.map(counting))).every(isShared));
  printer.claim('both count in Redis, and know of each other', together);
  for (const step of [explain, bothDoors, priceInCi, everybodyAtOnce, withoutRedis]) await step(stage, printer);
  const seconds = Math.round((performance.now() - startedMs) / 1_000);
  const { held, broken } = printer;
  process.stdout.write(`\n${held} of ${held + broken} claims held, in ${seconds} s.\n`);
  return broken === 0 ? 0 : 1;
}
