/** From rounds to the figures of a table. */

/** One round of one subject. */
export interface Round {
  readonly subject: string;
  readonly round: number;
  /** CPU time of the subject's process for each request that it answered. */
  readonly cpuUs: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Requests that reached the upstream, for each request of the load. */
  readonly upstreamCalls: number;
  /** Share of the machine that went to others meanwhile, 0 to 1. */
  readonly foreign: number;
  /** Why the round does not count. */
  readonly failure?: string;
}

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** @returns nothing for no values */
export function spread(values: readonly number[]): Spread | undefined {
  if (values.length === 0) return undefined;
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle]!;
  const median = sorted.length % 2 === 1 ? upper : (sorted[middle - 1]! + upper) / 2;
  return { median, min: sorted[0]!, max: sorted.at(-1)! };
}

/** CPU per request of one subject over that of another, round by round: what disturbs a round disturbs both. */
export function ratios(rounds: readonly Round[], subject: string, baseline: string): number[] {
  const good = rounds.filter(({ failure }) => failure === undefined);
  return good.flatMap((one) => {
    if (one.subject !== subject) return [];
    const other = good.find(({ subject: name, round }) => name === baseline && round === one.round);
    return other ? [one.cpuUs / other.cpuUs] : [];
  });
}
