/** How the gateway is set up for a table. */
export interface Setting {
  readonly name: string;
  readonly title: string;
  /** Of every upstream that is called beside the load, the one that is well included. */
  readonly upstream: Readonly<Record<string, unknown>>;
}

/** Short, so that a round has many attempts that run into it. */
const attemptTimeout = '250ms';

export const settings: readonly Setting[] = [
  {
    name: 'breaker',
    title: 'A sick upstream, with the breaker',
    // Short as well, so that every round sees it open, probe, and open again.
    upstream: { attemptTimeout, breaker: { openFor: '1s' } },
  },
  {
    name: 'budget',
    title: 'A sick upstream, with nothing but the retry budget',
    // A breaker that never opens.
    upstream: { attemptTimeout, breaker: { failures: 10_000, within: '1ms' } },
  },
];

/** `retry.budget`, whose default is in force here. */
export const budget = 0.2;

/** What the retry budget starts with (upstreams/retry-budget.ts). */
export const reserve = 10;
