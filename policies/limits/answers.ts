import type { RequestContext } from '#core/context.ts';
import { WeirError } from '#core/errors.ts';
import { perCall } from '#core/price.ts';
import type { Allowance } from '#core/reservation.ts';
import type { Charge } from './charge.ts';
import type { Limit } from './limit.ts';
import type { TierSettings } from './settings.ts';

/** The longest that a refused client is told to wait where nobody knows when there will be room. */
const unknownWaitMs = 5_000;

/** Tells the client what it has left, on whatever answer it gets (draft-ietf-httpapi-ratelimit-headers-10 §4). */
export function writeHeaders(context: RequestContext, charge: Charge, policy: string): void {
  const { reply } = context;
  if (policy === '' || reply.started) return;
  const { limits, room, restMs } = charge;
  let items = '';
  for (let index = 0; index < limits.length; index++) {
    const limit = limits[index]!;
    if (!limit.visible) continue;
    const item = `"${limit.name}";r=${unitsOf(room[index]!)}`;
    const time = limit.unit === 'concurrent' ? item : `${item};t=${secondsOf(restMs[index]!)}`;
    items = items === '' ? time : `${items}, ${time}`;
  }
  const { headers } = reply;
  headers['ratelimit-policy'] = policy;
  headers.ratelimit = items;
  const { limit, remaining, resetSeconds } = tightest(charge)!;
  headers['x-ratelimit-limit'] = String(limit);
  headers['x-ratelimit-remaining'] = String(remaining);
  headers['x-ratelimit-reset'] = String(resetSeconds);
}

/** What is left of the limit that leaves least, by its quota. @param back thousandths that are about to be given back */
export function tightest({ limits, room, restMs }: Charge, back = 0): Allowance | undefined {
  let least: number | undefined;
  let part = Number.POSITIVE_INFINITY;
  for (let index = 0; index < limits.length; index++) {
    const limit = limits[index]!;
    const left = room[index]! / limit.rule.capacity;
    if (!limit.visible || left >= part) continue;
    least = index;
    part = left;
  }
  if (least === undefined) return undefined;
  const limit = limits[least]!;
  return {
    name: limit.name,
    limit: Math.floor(limit.capacity / perCall),
    remaining: unitsOf(room[least]! + (limit.unit === 'cost' ? back : 0)),
    resetSeconds: secondsOf(restMs[least]!),
  };
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
}

export function standings({ limits, room, restMs }: Charge): Standing[] {
  return limits.map(({ name, unit, capacity, text }, index) => ({
    name,
    unit: unit as Standing['unit'],
    limit: Math.floor(capacity / perCall),
    remaining: unitsOf(room[index]!),
    resetSeconds: secondsOf(restMs[index]!),
    description: text,
  }));
}

/** Some limit has no room. */
export function overLimit({ limits, waitMs }: Charge, tier: TierSettings | undefined): WeirError {
  const violated = limits.filter((limit, index) => waitMs[index]! > 0 && !limit.shadow);
  const longest = limits.reduce((most, limit, index) => (limit.shadow ? most : Math.max(most, waitMs[index]!)), 0);
  const retryAfterS = Math.max(1, secondsOf(Number.isFinite(longest) ? longest : unknownWaitMs));
  const names = violated.map(({ name, text }) => `${name} (${text})`).join(', ');
  return new WeirError('RATE_LIMITED', {
    detail: `Used up: ${names}. There is room again in ${retryAfterS} s.`,
    retryAfterS,
    extensions: {
      'violated-policies': violated.map(({ name }) => name),
      ...(tier?.message !== undefined && { hint: tier.message }),
      ...(tier?.upgradeUrl !== undefined && { upgradeUrl: tier.upgradeUrl }),
    },
  });
}

/** No waiting would help: it is more than the limit ever holds. */
export function beyondQuota(cost: number, limit: Limit, tier: TierSettings | undefined): WeirError {
  return new WeirError('COST_EXCEEDS_QUOTA', {
    detail: `It may cost ${cost / perCall} upstream calls, and the limit ${limit.name} (${limit.text}) never holds so many.`,
    extensions: {
      'violated-policies': [limit.name],
      cost: { estimated: cost / perCall, limit: limit.capacity / perCall },
      ...(tier?.upgradeUrl !== undefined && { upgradeUrl: tier.upgradeUrl }),
    },
  });
}

function unitsOf(thousandths: number): number {
  return Math.max(0, Math.floor(thousandths / perCall));
}

function secondsOf(ms: number): number {
  return Math.ceil(ms / 1_000);
}
