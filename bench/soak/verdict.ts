/** Whether the gateway came out of it as it went in. */
import type { Soaked } from './run.ts';
import { isBack, isQuiet, type Sample } from './watch.ts';

export interface Check {
  readonly name: string;
  /** What was found. */
  readonly found: string;
  /** What is allowed. */
  readonly allowed: string;
  readonly ok: boolean;
}

/** A leak of 60 bytes in each of a leg's requests would be above it. */
const maxHeapRise = 512 * 1024;
/** The allocator keeps pages, and gives them back when it likes. */
const maxAnonymousRise = 4 * 1024 ** 2;

const mib = 1024 ** 2;

export function checksOf(soaked: Soaked): readonly Check[] {
  const { tally, baseline, rests, last } = soaked;
  const stuck = rests.filter((rest) => !isQuiet(rest)).length;
  const heap = risePerMinute(rests, ({ heap: held }) => held!.usedBytes + held!.buffersBytes);
  const anonymous = risePerMinute(rests, ({ anonymousBytes }) => anonymousBytes);
  const underWay = [...tally.activities.values()].reduce((sum, { underWay: count }) => sum + count, 0);
  const complaints = [...tally.complaints.values()].reduce((sum, { count }) => sum + count, 0);
  return [
    {
      name: 'Heap that is held, second half',
      found: perMinute(heap),
      allowed: `below ${perMinute(maxHeapRise)}`,
      ok: heap < maxHeapRise,
    },
    {
      name: 'Anonymous memory, second half',
      found: perMinute(anonymous),
      allowed: `below ${perMinute(maxAnonymousRise)}`,
      ok: anonymous < maxAnonymousRise,
    },
    {
      name: 'Rests with something under way',
      found: `${stuck} of ${rests.length}`,
      allowed: 'none',
      ok: stuck === 0,
    },
    { name: 'Clients without an end', found: String(underWay), allowed: 'none', ok: underWay === 0 },
    {
      name: 'Descriptors at the end',
      found: `${last.descriptors.total} (clients ${last.descriptors.clients}, services ${last.descriptors.upstreams})`,
      allowed: `${baseline.descriptors.total} at the beginning, and 4`,
      ok: isBack(last, baseline),
    },
    { name: 'Complaints of clients and log', found: String(complaints), allowed: 'none', ok: complaints === 0 },
  ];
}

function perMinute(bytes: number): string {
  return `${(bytes / mib).toFixed(2)} MiB a minute`;
}

/**
 * Bytes a minute over the second half of the rests: the median of the slopes between any two (Theil–Sen), which one rest
 * that is out of line does not move.
 */
function risePerMinute(rests: readonly Sample[], of: (rest: Sample) => number): number {
  const half = rests.slice(Math.floor(rests.length / 2));
  const slopes = half.flatMap((one, index) =>
    half.slice(index + 1).map((other) => ((of(other) - of(one)) / (other.atS - one.atS)) * 60),
  );
  slopes.sort((a, b) => a - b);
  const middle = slopes.length >> 1;
  if (slopes.length === 0) return Number.NaN;
  return slopes.length % 2 === 1 ? slopes[middle]! : (slopes[middle - 1]! + slopes[middle]!) / 2;
}
