/** What goes wrong around the gateway meanwhile: services that fail, die and come back, and operators that reload. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Draw } from '../../examples/shop/services/kit/random.ts';
import type { Fault } from '../../examples/shop/services/spawn.ts';
import { pin } from '../processes.ts';
import { serviceNames, type Stage, type Variant } from './stage.ts';

/** What has been done so far. */
export class Trouble {
  faults = 0;
  deaths = 0;
  reloads = 0;
}

const faults: readonly ((draw: Draw) => Fault)[] = [
  (draw) => ({ latencyMs: draw.int(50, 1_500) }),
  (draw) => ({ errorRate: 0.5, errorStatus: draw.pick([500, 502, 503, 504]) }),
  () => ({ errorRate: 1, errorStatus: 503, retryAfter: 1 }),
  () => ({ kind: 'hang', rate: 0.5 }),
  () => ({ kind: 'hang', health: true }),
  () => ({ kind: 'reset', rate: 0.5 }),
  () => ({ kind: 'reset', health: true }),
  () => ({ kind: 'half-body', rate: 0.5 }),
  () => ({ kind: 'half-chunked', rate: 0.5 }),
  () => ({ kind: 'garbage', rate: 0.5 }),
  () => ({ kind: 'drip', rate: 0.3 }),
];

/** @returns whether it is to go on, at once where it is not */
function rest(ms: number, stop: AbortSignal): Promise<boolean> {
  return sleep(ms, true, { signal: stop }).catch(() => false);
}

/** One service after the other has a fault for a while. */
async function spoil({ shop }: Stage, draw: Draw, trouble: Trouble, stop: AbortSignal): Promise<void> {
  while (await rest(draw.int(500, 3_000), stop)) {
    const service = shop[draw.pick(serviceNames)];
    // It may be dead just then.
    await service.setFault(draw.pick(faults)(draw)).catch(() => undefined);
    trouble.faults++;
    await rest(draw.int(1_000, 5_000), stop);
    await service.clearFault().catch(() => undefined);
  }
}

async function kill({ shop }: Stage, draw: Draw, trouble: Trouble, core: number, stop: AbortSignal): Promise<void> {
  while (await rest(draw.int(8_000, 25_000), stop)) {
    const service = shop[draw.pick(serviceNames)];
    await service.kill('SIGKILL');
    trouble.deaths++;
    await rest(draw.int(500, 6_000), stop);
    await service.restart();
    pin(service.pid, core);
  }
}

async function reload(stage: Stage, draw: Draw, trouble: Trouble, stop: AbortSignal): Promise<void> {
  const variants: readonly Variant[] = ['same', 'settings', 'transport', 'routes', 'bad'];
  while (await rest(draw.int(3_000, 15_000), stop)) {
    await stage.reload(draw.pick(variants));
    trouble.reloads++;
  }
}

/** Makes trouble until `stop`; then all services are up and well again. */
export async function makeTrouble(
  stage: Stage,
  draw: Draw,
  core: number,
  stop: AbortSignal,
  trouble: Trouble,
): Promise<void> {
  await Promise.all([
    spoil(stage, draw, trouble, stop),
    kill(stage, draw, trouble, core, stop),
    reload(stage, draw, trouble, stop),
  ]);
  for (const name of serviceNames) await stage.shop[name].clearFault();
}
