import type { MeterSnapshot } from '#gateway/telemetry/meter.ts';
import { countedBy, mergeMetrics, type Part } from './merge-metrics.ts';
import type { RemoteWorker } from './remote-worker.ts';

/** How often workers are asked, so that little is lost with one that is killed. */
const everyMs = 5_000;

/** How the primary's own figures are called, beside the workers' numbers. */
const own = 'primary';

/**
 * What the gateway has measured in all. Counters never fall: what a worker had counted when it was last asked stays counted
 * after its death, and of one that does not answer the last answer is taken.
 */
export class FleetMetrics {
  readonly #workers: () => readonly RemoteWorker[];
  /** Of all workers that have ended. */
  #past: MeterSnapshot = { families: [], errors: [] };

  constructor(workers: () => readonly RemoteWorker[]) {
    this.#workers = workers;
  }

  /** @returns a function that stops asking */
  start(): () => void {
    const timer = setInterval(() => this.#workers().forEach((worker) => void ask(worker)), everyMs);
    return () => clearInterval(timer);
  }

  /** Asks all workers. */
  async collect(primary: MeterSnapshot): Promise<MeterSnapshot> {
    await Promise.all(this.#workers().map(ask));
    // Only now, or a worker that has ended meanwhile would be in both.
    const present = this.#workers().flatMap(({ index, measured }): Part[] =>
      measured ? [{ worker: String(index), snapshot: measured }] : [],
    );
    return mergeMetrics([{ worker: own, snapshot: primary }, { worker: '', snapshot: this.#past }, ...present]);
  }

  gone({ measured }: RemoteWorker): void {
    if (!measured) return;
    this.#past = mergeMetrics([
      { worker: '', snapshot: this.#past },
      { worker: '', snapshot: countedBy(measured) },
    ]);
  }
}

async function ask(worker: RemoteWorker): Promise<void> {
  if (!worker.present) return;
  try {
    worker.measured = await worker.ask('metrics', undefined);
  } catch {
    // What it said last must do.
  }
}
