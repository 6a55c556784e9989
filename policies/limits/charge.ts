import type { Reply } from '#core/reply.ts';
import type { Announcement } from '#core/reservation.ts';
import { writeHeaders } from './answers.ts';
import type { Counter } from './counters/counter.ts';
import type { Limit } from './limit.ts';
import type { LimitsSettings } from './settings.ts';

/**
 * Lists to be filled in, by how many limits there are. As long as they will be, and of fractions, so that the engine makes room
 * for large numbers at once: lists that grow, and change their kind, cost as much as the decision.
 */
const blanks: { readonly texts: readonly string[]; readonly numbers: readonly number[] }[] = [];

/**
 * One decision over all limits of a request: what it asks of each, and what came of it. The lists are in the order of the
 * limits. Who asks fills in payers and amounts, the store that decides the rest; it is also the one that settles it.
 */
export class Charge implements Announcement {
  readonly limits: readonly Limit[];
  readonly payers: string[];
  /** Thousandths. */
  readonly amounts: number[];
  admitted = true;
  /** When, on the clock of the store that decided. */
  readonly at: number[];
  /** What is left of each, or would be. */
  readonly room: number[];
  /** Milliseconds until more of it comes back. */
  readonly nextMs: number[];
  /** Milliseconds until nothing is used any more. */
  readonly restMs: number[];
  /** Milliseconds until there is room, of those that had none: 0 for the others. */
  readonly waitMs: number[];
  /** Where it was counted in memory. */
  counters: Counter[] | undefined;
  /** What a store in another place knows it by, and whom it counts for: the payer, or one that stands for many. */
  id = '';
  tags: readonly string[] = [];
  store: LimitStore | undefined;

  /** `RateLimit-Policy` of its limits; empty where clients are told nothing. */
  readonly policy: string;
  /** What is to be done where the store does not answer. */
  readonly onStoreFailure: LimitsSettings['onStoreFailure'];

  constructor(limits: readonly Limit[], onStoreFailure: LimitsSettings['onStoreFailure'], policy = '') {
    this.policy = policy;
    this.onStoreFailure = onStoreFailure;
    this.limits = limits;
    const { texts, numbers } = (blanks[limits.length] ??= {
      texts: limits.map(() => ''),
      numbers: limits.map(() => 0.5),
    });
    this.payers = texts.slice();
    this.amounts = numbers.slice();
    this.at = numbers.slice();
    this.room = numbers.slice();
    this.nextMs = numbers.slice();
    this.restMs = numbers.slice();
    this.waitMs = numbers.slice();
  }

  announce(reply: Reply): void {
    writeHeaders(reply, this);
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
