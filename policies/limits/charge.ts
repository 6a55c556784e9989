import type { Counter } from './counters/counter.ts';
import type { Limit } from './limit.ts';
import type { LimitsSettings } from './settings.ts';

/**
 * One decision over all limits of a request: what it asks of each, and what came of it. The lists are in the order of the
 * limits. It is filled in by the store that decides, which is also the one that settles it.
 */
export class Charge {
  readonly limits: readonly Limit[];
  readonly payers: readonly string[];
  /** Thousandths. */
  readonly amounts: readonly number[];
  admitted = true;
  /** When, on the clock of the store that decided. */
  readonly at: number[] = [];
  /** What is left of each, or would be. */
  readonly room: number[] = [];
  /** Milliseconds until nothing is used any more. */
  readonly restMs: number[] = [];
  /** Milliseconds until there is room, of those that had none: 0 for the others. */
  readonly waitMs: number[] = [];
  /** Where it was counted in memory. */
  counters: Counter[] | undefined;
  /** What a store in another place knows it by. */
  id = '';
  store: LimitStore | undefined;

  /** What is to be done where the store does not answer. */
  readonly onStoreFailure: LimitsSettings['onStoreFailure'];

  constructor(
    limits: readonly Limit[],
    payers: readonly string[],
    amounts: readonly number[],
    onStoreFailure: LimitsSettings['onStoreFailure'],
  ) {
    this.onStoreFailure = onStoreFailure;
    this.limits = limits;
    this.payers = payers;
    this.amounts = amounts;
  }

  /** Whether it was counted in the limit at this place: one that only reports counts nothing where it would have refused. */
  counted(index: number): boolean {
    return this.admitted && this.waitMs[index] === 0;
  }
}

/** Where is counted. */
export interface LimitStore {
  /** Decides on all limits at once. A promise only where it has to ask. */
  charge(charge: Charge): void | Promise<void>;
  /** @param changes thousandths for each limit: what to give back, or below zero what is owed; never fails */
  settle(charge: Charge, changes: readonly number[]): void;
}
