import type { Clock } from '#core/clock.ts';
import type { Charge, LimitStore } from './charge.ts';
import type { Counter, Rule } from './counters/counter.ts';
import type { Limit } from './limit.ts';
import type { Table } from './counters/table.ts';

export interface Counting {
  table(limit: Limit): Table;
  rule(limit: Limit): Rule;
}

/** Of one process alone: its own tables, its whole share. */
const alone: Counting = { table: ({ table }) => table, rule: ({ rule }) => rule };

/** Counts in the memory of this process, and decides at once. */
export class MemoryStore implements LimitStore {
  readonly #clock: Clock;
  /** From the clock that only ever grows to that of the day, on which full windows begin for everybody in one moment. */
  readonly #offsetMs: number;
  readonly #counting: Counting;

  constructor(clock: Clock, counting = alone) {
    this.#clock = clock;
    this.#offsetMs = Math.floor(clock.epochMs() - clock.monotonicMs());
    this.#counting = counting;
  }

  charge(charge: Charge): void {
    const { limits, payers, amounts, at, room, nextMs, restMs, waitMs } = charge;
    const now = this.#now();
    const counters: Counter[] = [];
    charge.counters = counters;
    charge.store = this;
    for (let index = 0; index < limits.length; index++) {
      const limit = limits[index]!;
      const rule = this.#counting.rule(limit);
      const counter = this.#counting.table(limit).of(payers[index]!, rule, now);
      const left = counter.room(rule, now);
      const amount = amounts[index]!;
      const lacks = left < amount;
      if (lacks && !limit.shadow) charge.admitted = false;
      counters.push(counter);
      at[index] = now;
      room[index] = left;
      waitMs[index] = lacks ? Math.max(1, counter.waitMs(rule, amount, now)) : 0;
    }
    for (let index = 0; index < limits.length; index++) {
      const rule = this.#counting.rule(limits[index]!);
      const counter = counters[index]!;
      if (charge.counted(index)) {
        counter.take(rule, amounts[index]!, now);
        room[index]! -= amounts[index]!;
      }
      nextMs[index] = counter.nextMs(rule, now);
      restMs[index] = counter.restMs(rule, now);
    }
  }

  settle({ limits, counters, amounts, at }: Charge, changes: readonly number[]): void {
    const now = this.#now();
    for (let index = 0; index < changes.length; index++) {
      const change = changes[index]!;
      if (change === 0) continue;
      const counter = counters![index]!;
      const rule = this.#counting.rule(limits[index]!);
      if (change > 0) counter.giveBack(rule, change, amounts[index]!, at[index]!, now);
      else counter.owe(rule, -change, now);
    }
  }

  #now(): number {
    return Math.floor(this.#clock.monotonicMs()) + this.#offsetMs;
  }
}
