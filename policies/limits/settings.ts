import { z } from 'zod';
import { perCall } from '#core/price.ts';
import { count, duration, name, price } from '#upstreams/fields.ts';

/** Amounts are counted in thousandths, so that sums stay exact in every store. */
const maxQuota = 1_000_000_000;

const amount = z
  .number({ error: `write a number from 0.001 to ${maxQuota}` })
  .min(0.001)
  .max(maxQuota)
  .transform((units) => Math.round(units * perCall));

const day = 86_400_000;

/** `>50%`, as the part that it is: 0 to 1. */
const errorShare = z
  .string({ error: 'write a part of the calls, such as ">50%"' })
  .regex(/^>\s*\d{1,2}(\.\d{1,3})?\s*%$/, 'write a part of the calls, from ">0%" to ">99.9%"')
  .transform((text) => Number.parseFloat(text.replace('>', '')) / 100);

/** What makes a limit smaller. */
const whenSchema = z
  .strictObject({
    errorRate: errorShare
      .optional()
      .describe('More than this part of the calls fails, is answered with 5xx, or is refused by breaker or bulkhead.'),
    over: duration({ minMs: 100, maxMs: 3_600_000 }).prefault('1m').describe('The time that `errorRate` is of.'),
    minCalls: count(1, 1_000_000).default(20).describe('Fewer calls in that time say nothing.'),
    breaker: z.literal('open', { error: 'write open' }).optional().describe('The breaker of the upstream is open.'),
    upstream: name().optional().describe('Of which upstream; `errorRate` is that of all when it is left out.'),
  })
  .refine(({ errorRate, breaker }) => (errorRate === undefined) !== (breaker === undefined), {
    error: 'says either errorRate or breaker; write one of them',
  })
  .refine(({ breaker, upstream }) => breaker === undefined || upstream !== undefined, {
    path: ['upstream'],
    error: 'is missing; write whose breaker it is',
  });

/** For how long a limit stays smaller where nothing is said. */
const usualHoldMs = 300_000;

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
  when: whenSchema
    .optional()
    .describe(
      'Makes it smaller while upstreams fail: `{ errorRate: ">50%", over: 1m }` or `{ breaker: open, upstream: NAME }`.',
    ),
  scale: z
    .number({ error: 'write a part of the quota, from 0.001 to 1' })
    .min(0.001)
    .max(1)
    .optional()
    .describe('What is left of it then, such as 0.2. Needed with `when`.'),
  for: duration({ minMs: 100, maxMs: day })
    .optional()
    .describe('For how long after `when` has last been so; 5m when left out.'),
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
  readonly when?: object | undefined;
  readonly scale?: number | undefined;
  readonly for?: number | undefined;
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
    .refine(({ when, scale }) => when === undefined || scale !== undefined, {
      path: ['scale'],
      error: 'is missing; write which part of the quota is left when that happens, such as 0.2',
    })
    .refine(({ when, scale, for: hold }) => when !== undefined || (scale ?? hold) === undefined, {
      path: ['when'],
      error: 'is missing; write when the limit is to be smaller, or remove scale and for',
    })
    .refine(({ unit, quota, scale = 1 }) => unit === 'cost' || scale === 1 || quota * scale >= perCall, {
      path: ['scale'],
      error: 'leaves less than one request, so that none could pass; write more',
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

const limitShape = {
  ...fields,
  unit: z
    .enum(['cost', 'requests', 'concurrent'])
    .default('cost')
    .describe('`cost`: upstream calls; `requests`; `concurrent`: requests under way at once.'),
  by: z.enum(payers).optional().describe(`Who has a quota of his own: ${paidBy}.`),
};

const limitSchema = whole(z.strictObject(limitShape));

export type LimitSettings = z.output<typeof limitSchema>;

/** When a limit is smaller than it is written, and by how much. */
export interface DynamicSettings {
  readonly when: z.output<typeof whenSchema>;
  readonly scale: number;
  readonly forMs: number;
}

export function dynamicOf({ when, scale = 1, for: forMs = usualHoldMs }: LimitSettings): DynamicSettings | undefined {
  return when && { when, scale, forMs };
}

/** Limits of one tier, one route, or of everybody. */
export const limitList = z.array(limitSchema).max(16).refine(unique, twice).default([]);

/** Of an operation: what it is called, or what it selects. */
const selected = {
  fields: z
    .array(z.string().regex(/^[A-Za-z_]\w*\.[A-Za-z_]\w*$/, 'write a field as Type.field, such as Query.search'))
    .min(1)
    .max(100)
    .optional()
    .describe(
      'Counts for operations that select one of these fields, `Type.field`, under whatever alias: `requests` as often as they ' +
        'do, `cost` what the whole operation costs.',
    ),
  operations: z
    .array(z.string().regex(/^[A-Za-z_]\w*$/, 'write the name of an operation'))
    .min(1)
    .max(100)
    .optional()
    .describe('Counts for operations of these names, which clients choose: trusted documents make them sure.'),
};

const operationLimitSchema = whole(z.strictObject({ ...limitShape, ...selected })).refine(
  ({ fields: some, operations }) => some === undefined || operations === undefined,
  { path: ['operations'], error: 'stands beside fields; write a limit for each' },
);

export type OperationLimitSettings = z.output<typeof operationLimitSchema>;

/** Limits of GraphQL operations, of all or of some. */
export const operationLimitList = z.array(operationLimitSchema).max(16).refine(unique, twice).default([]);

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
  cachedCost: price()
    .prefault(0)
    .describe('What an answer costs at least that came from the cache without a call, in upstream calls.'),
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
