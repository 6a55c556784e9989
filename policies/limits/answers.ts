import { WeirError } from '#core/errors.ts';
import { perCall } from '#core/price.ts';
import type { Reply } from '#core/reply.ts';
import type { Allowance, Standing } from '#core/reservation.ts';
import type { Charge } from './charge.ts';
import type { Limit } from './limit.ts';
import type { TierSettings } from './settings.ts';

/** The longest that a refused client is told to wait where nobody knows when there will be room. */
const unknownWaitMs = 5_000;

/**
 * Tells the client what it has left, on whatever answer it gets, in the fields of draft-ietf-httpapi-ratelimit-headers-10 §3 and
 * §4, two lists of strings with integer parameters (RFC 9651 §3.1, §3.3.1): `t` says when more quota is made available, and where there is no
 * room the same as `Retry-After`.
 */
export function writeHeaders(reply: Reply, charge: Charge): void {
  const { limits, policy, room, nextMs, waitMs } = charge;
  if (policy === '' || reply.started) return;
  let items = '';
  for (let index = 0; index < limits.length; index++) {
    const limit = limits[index]!;
    if (!limit.visible) continue;
    if (items !== '') items += ', ';
    items += limit.itemStart + unitsOf(room[index]!);
    if (limit.unit === 'concurrent') continue;
    const lacking = waitMs[index]!;
    const more = lacking > 0 && lacking !== Number.POSITIVE_INFINITY ? lacking : nextMs[index]!;
    items += `;t=${secondsOf(more)}`;
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

/**
 * How limits stand that the client is told of, but for those of what is under way.
 * @param back thousandths that are about to be given back
 */
export function standings({ limits, room, restMs }: Charge, back = 0): Standing[] {
  return limits.flatMap(({ name, unit, visible, capacity, text, factor }, index): Standing[] => {
    if (!visible || unit === 'concurrent') return [];
    const standing = {
      name,
      unit,
      limit: Math.floor(capacity / perCall),
      remaining: unitsOf(room[index]! + (unit === 'cost' ? back : 0)),
      resetSeconds: secondsOf(restMs[index]!),
      description: text,
    };
    return [factor === 1 ? standing : { ...standing, scale: factor }];
  });
}

/**
 * Some limit has no room.
 * @param smallerForMs how much longer a limit is smaller than it is written: what it has no room for now it may have then
 */
export function overLimit(
  { limits, waitMs }: Charge,
  tier: TierSettings | undefined,
  smallerForMs: (limit: Limit) => number,
): WeirError {
  const violated = limits.filter((limit, index) => waitMs[index]! > 0 && !limit.shadow);
  const longest = limits.reduce((most, limit, index) => {
    if (limit.shadow) return most;
    const own = waitMs[index]!;
    return Math.max(most, own === Number.POSITIVE_INFINITY ? smallerForMs(limit) || unknownWaitMs : own);
  }, 0);
  const retryAfterS = Math.max(1, secondsOf(longest));
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
  const what =
    limit.unit === 'cost' ? `It may cost ${cost / perCall} upstream calls` : `It counts as ${cost / perCall} requests`;
  return new WeirError('COST_EXCEEDS_QUOTA', {
    detail: `${what}, and the limit ${limit.name} (${limit.text}) never holds so many.`,
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
