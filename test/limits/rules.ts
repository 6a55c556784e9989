import type { Rule } from '#policies/limits/counters/counter.ts';
import { slices } from '#policies/limits/counters/sliding-window.ts';
import { ratioOf } from '#policies/limits/settings.ts';

/** A rule as the configuration makes one; amounts in thousandths. */
export function ruleFor(algorithm: Rule['algorithm'], quota: number, windowMs: number, burst = quota): Rule {
  return { algorithm, capacity: burst, windowMs, sliceMs: Math.ceil(windowMs / slices), ...ratioOf(quota, windowMs) };
}
