import type { Unhealthy } from '#upstreams/health-verdicts.ts';
import type { RemoteWorker } from './remote-worker.ts';

/** Tells workers what the health checks have found: all of it each time, and one message at a time for each. */
export class HealthRelay {
  readonly #unhealthy: () => Unhealthy;
  /** Those that have yet to take in what they were told, and whether there is news since. */
  readonly #telling = new Map<RemoteWorker, boolean>();

  constructor(unhealthy: () => Unhealthy) {
    this.#unhealthy = unhealthy;
  }

  async tell(worker: RemoteWorker): Promise<void> {
    if (this.#telling.has(worker)) {
      this.#telling.set(worker, true);
      return;
    }
    this.#telling.set(worker, false);
    try {
      // However long it takes: one that hangs is to know when it wakes.
      await worker.order('health', this.#unhealthy());
    } catch {
      // It has ended.
    }
    const news = this.#telling.get(worker);
    this.#telling.delete(worker);
    if (news && worker.present) await this.tell(worker);
  }
}
