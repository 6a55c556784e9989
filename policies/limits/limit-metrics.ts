import type { Counter, Meter } from '#core/meter.ts';

/** What was decided on one limit. */
export interface LimitOutcomes {
  readonly admitted: Counter;
  readonly refused: Counter;
  readonly shadow: Counter;
  readonly warned: Counter;
  readonly delayed: Counter;
}

/** By name of the limit; bound at boot. */
export function limitOutcomes(meter: Meter): (limit: string) => LimitOutcomes {
  const decisions = meter.counter('weir.limits.decisions', {
    unit: '{request}',
    description: 'Decisions on requests and operations, by limit and outcome.',
  });
  return (limit) => {
    const outcome = (name: string) => decisions.with({ 'weir.limit': limit, 'weir.limit.outcome': name });
    return {
      admitted: outcome('admitted'),
      refused: outcome('refused'),
      shadow: outcome('shadow'),
      warned: outcome('warned'),
      delayed: outcome('delayed'),
    };
  };
}
