/** How the gateway is set up for a table. All upstreams, well and sick, have the same settings. */
export interface Setting {
  readonly name: string;
  readonly title: string;
  readonly upstream: Readonly<Record<string, unknown>>;
}

/** Short, so that a round has many attempts that run into it. */
const attemptTimeout = '250ms';

export const settings: readonly Setting[] = [
  {
    name: 'breaker',
    title: 'A sick upstream, with the breaker',
    upstream: { attemptTimeout },
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
