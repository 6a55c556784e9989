import { z } from 'zod';
import { perCall } from '#core/price.ts';
import { duration, name } from '#upstreams/fields.ts';

/** Amounts are counted in thousandths, so that sums stay exact in every store. */
const maxQuota = 1_000_000_000;

const amount = z
  .number({ error: `write a number from 0.001 to ${maxQuota}` })
  .min(0.001)
  .max(maxQuota)
  .transform((units) => Math.round(units * perCall));

const day = 86_400_000;

const fields = {
  name: name().describe('For headers, errors, logs and metrics; also what carries its counters over a reload.'),
  algorithm: z
    .enum(['sliding-window', 'token-bucket', 'fixed-window'])
    .optional()
    .describe(
      '`sliding-window`: at most `quota` in any `window`. `token-bucket`: `quota` per `window`, and `burst` at once. ' +
        '`fixed-window`: `quota` from one full `window` of the clock to the next. Needed, but for `concurrent`.',
    ),
  quota: amount.describe('How much: upstream calls, requests, or requests under way at once.'),
  window: duration({ maxMs: 31 * day })
    .optional()
    .describe('In which time. Needed, but for `concurrent`.'),
  burst: amount.optional().describe('What a token bucket holds when it is full; `quota` when left out.'),
  shadow: z
    .boolean()
    .default(false)
    .describe('Only reports, in logs and metrics, what it would have refused: to try a limit before it counts.'),
  hideHeaders: z
    .boolean()
    .default(false)
    .describe('Leaves it out of the headers of answers; a refusal names it still.'),
};

const payers = ['ip', 'consumer', 'subject', 'key', 'tenant', 'route', 'operation'] as const;

const paidBy =
  '`consumer` (who is anonymous: the address), `subject` (the end user, else the consumer), `key` (the API key, else the ' +
  'consumer), `ip` (of IPv6 the /64), `tenant` (the host), `route`, `operation` (of GraphQL, by its name)';

interface Written {
  readonly algorithm?: string | undefined;
  readonly unit: string;
  readonly quota: number;
  readonly window?: number | undefined;
  readonly burst?: number | undefined;
}

/** What belongs together: a limit of what is under way needs no time, all others do. */
function whole<T extends z.ZodType<Written>>(schema: T) {
  const without = ({ unit }: Written) => unit === 'concurrent';
  const counted = ({ unit, quota, burst = perCall }: Written) =>
    unit === 'cost' || (quota % perCall === 0 && burst % perCall === 0 && burst > 0);
  return schema
    .refine((limit) => without(limit) || limit.algorithm !== undefined, {
      path: ['algorithm'],
      error: 'is missing; write sliding-window, token-bucket or fixed-window',
    })
    .refine((limit) => without(limit) || limit.window !== undefined, {
      path: ['window'],
      error: 'is missing; write the time of the quota, such as 1m',
    })
    .refine((limit) => !without(limit) || (limit.algorithm ?? limit.window) === undefined, {
      path: ['unit'],
      error: 'concurrent counts what is under way and knows no time; remove algorithm and window',
    })
    .refine((limit) => limit.burst === undefined || limit.algorithm === 'token-bucket', {
      path: ['burst'],
      error: 'is for a token-bucket; remove it',
    })
    .refine(counted, { path: ['quota'], error: 'counts whole requests; write a whole number, burst too' })
    .refine(exact, {
      path: ['quota'],
      error: 'is too much for so long a window to be counted exactly; write less, or a window of a round number',
    });
}

/** A bucket is counted in integers: how much drips in a millisecond is a fraction, and its parts must stay exact. */
function exact({ algorithm, quota, burst = quota, window = 1 }: Written): boolean {
  if (algorithm !== 'token-bucket') return true;
  const { per, drip } = ratioOf(quota, window);
  return 4 * (burst + quota) * per < Number.MAX_SAFE_INTEGER && drip * window < Number.MAX_SAFE_INTEGER;
}

/** The quota that comes back in each millisecond, `drip / per` thousandths, in lowest terms. */
export function ratioOf(quota: number, windowMs: number): { readonly drip: number; readonly per: number } {
  let [a, b] = [quota, windowMs];
  while (b !== 0) [a, b] = [b, a % b];
  return { drip: quota / a, per: windowMs / a };
}

function unique(limits: readonly { readonly name: string }[]): boolean {
  return new Set(limits.map((limit) => limit.name)).size === limits.length;
}

const twice = { error: 'names one limit twice; write each once' };

const limitSchema = whole(
  z.strictObject({
    ...fields,
    unit: z
      .enum(['cost', 'requests', 'concurrent'])
      .default('cost')
      .describe('`cost`: upstream calls; `requests`; `concurrent`: requests under way at once.'),
    by: z.enum(payers).optional().describe(`Who has a quota of his own: ${paidBy}.`),
  }),
);

export type LimitSettings = z.output<typeof limitSchema>;

/** Limits of one tier, one route, or of everybody. */
export const limitList = z.array(limitSchema).max(16).refine(unique, twice).default([]);

const perIpSchema = whole(
  z.strictObject({
    ...fields,
    unit: z
      .enum(['requests', 'concurrent'])
      .default('requests')
      .describe('What a request costs is not known yet here.'),
    by: z.literal('ip').default('ip').describe('The address; of IPv6 the /64.'),
  }),
);

/** What stands when nothing is written: answers from a cache cost no call, so calls alone would bound nobody. */
const usualPerIp = {
  name: 'ip',
  algorithm: 'token-bucket' as const,
  unit: 'requests' as const,
  quota: 100,
  window: '1s',
  burst: 500,
};

const share = (usual: number) => z.number().min(0).max(1).default(usual);

export const limitsSchema = z.strictObject({
  perIp: z
    .array(perIpSchema)
    .max(8)
    .refine(unique, twice)
    .prefault([usualPerIp])
    .describe('By address, before all that costs more than a look at it, in the memory of each process.'),
  global: limitList.describe('Of all requests, whoever sends them: one quota for everybody, where `by` is left out.'),
  warnAt: share(0.8).describe('From which part of a quota on answers carry a warning: 0 to 1; 1 for never.'),
  throttleAt: share(1).describe('From which part of a quota on requests are delayed; 1 for never.'),
  maxDelay: duration({ maxMs: 10_000 })
    .prefault('1s')
    .describe('The longest such delay; it grows from nothing at `throttleAt` to this at the whole quota.'),
  onStoreFailure: z
    .enum(['local-share', 'open', 'closed'])
    .default('local-share')
    .describe(
      'While Redis does not answer: each instance enforces its share of every limit (`local-share`), nothing is limited ' +
        '(`open`), or what is limited is refused with LIMITS_UNAVAILABLE (`closed`).',
    ),
});

export type LimitsSettings = z.output<typeof limitsSchema>;

export const tiersSchema = z
  .record(
    name(),
    z.strictObject({
      limits: limitList.describe('What a consumer of this tier may use; all of them count.'),
      message: z.string().min(1).max(500).optional().describe('What a refusal says besides, to people.'),
      upgradeUrl: z
        .url({ protocol: /^https?$/, error: 'write an http:// or https:// URL' })
        .optional()
        .describe('Where a refusal says that there is more to be had.'),
    }),
  )
  .default({});

export type TierSettings = z.output<typeof tiersSchema>[string];
