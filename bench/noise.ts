import { machineUs } from './cpu.ts';
import { ownCpuUs } from './processes.ts';

/**
 * The share of the machine that went to others than the bench. One noisy neighbour spoils a round, so the report says how
 * much there was.
 */
export class Noise {
  #last = reading();

  /** Since the last call, or since this was made; 0 to 1. */
  take(): number {
    const now = reading();
    const foreign = now.busy - this.#last.busy - (now.own - this.#last.own);
    const total = now.total - this.#last.total;
    this.#last = now;
    return total > 0 ? Math.min(1, Math.max(0, foreign / total)) : 0;
  }
}

function reading(): { busy: number; total: number; own: number } {
  return { ...machineUs(), own: ownCpuUs() };
}
