import type { Reply } from './reply.ts';

/** What a client is told of the limit that leaves it least, in whole units. */
export interface Allowance {
  readonly name: string;
  readonly limit: number;
  readonly remaining: number;
  /** Until nothing of it is used any more. */
  readonly resetSeconds: number;
}

/** What an answer may say of limits. */
export interface Announcement {
  /** Says it in the answer's head, if that has not gone out. */
  announce(reply: Reply): void;
}

/** How a limit stands for whoever asks. */
export interface Standing {
  readonly name: string;
  /** What is counted: upstream calls, or requests. */
  readonly unit: 'cost' | 'requests';
  readonly limit: number;
  readonly remaining: number;
  /** Until nothing is used any more, if nothing more is asked. */
  readonly resetSeconds: number;
  /** For people: `600 upstream calls in 60s`. */
  readonly description: string;
  /** How many times what it usually is; left out where it is that. */
  readonly scale?: number;
}

/** What a request has cost by now: the calls that were sent, and of what came from the store at least the floor. */
export function costOf({
  calls,
  reservation,
}: {
  readonly calls: { readonly spent: number; readonly cached: number };
  readonly reservation: Reservation | undefined;
}): number {
  return calls.cached > 0 && reservation ? Math.max(calls.spent, reservation.cachedCost) : calls.spent;
}

/** What a request was charged before its work began, until it is known what it really cost. All in thousandths of a call. */
export interface Reservation {
  readonly estimated: number;
  /** What an answer costs at least that came from the store. */
  readonly cachedCost: number;
  /** Undefined where the client is told of no limit. @param actual what it has cost */
  allowance(actual: number): Allowance | undefined;
  /** All that the client is told of. @param actual what it has cost */
  standings(actual: number): readonly Standing[];
  /** Limits of which much is used, by name. */
  readonly warnings: readonly string[];
  /** Of what has no end of its own: what it has cost by now counts as soon as it is more than was reserved. */
  progress(actual: number): void;
  /** It is over: gives back what was not used, or owes what is missing. Only the first time counts. */
  settle(actual: number): void;
}
