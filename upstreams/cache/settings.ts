import { z } from 'zod';
import { duration, size } from '#upstreams/fields.ts';

/** `cache`: the one store of a process. */
export const cacheSchema = z.strictObject({
  memory: size()
    .prefault('256MiB')
    .describe('What stored answers may take in each process; the least recently used go first.'),
  maxEntryBytes: size()
    .prefault('1MiB')
    .describe('The largest body that is stored; a larger one is passed on as it comes.'),
  answers: z
    .boolean()
    .default(true)
    .describe('Whether finished answers to GraphQL operations are stored too, not only what upstreams answered.'),
  redis: z
    .boolean()
    .default(false)
    .describe(
      'Whether instances share what they store: what is not in memory is looked up in Redis. Needs `redis.url`; a change needs a restart.',
    ),
});

/** How old an answer may become where nobody has said so, at most. */
const years = { maxMs: 365 * 86_400_000 };

const rules = z.strictObject({
  ttl: duration(years)
    .optional()
    .describe(
      'How long an answer is fresh whose upstream says nothing of it; such answers are not stored when left out.',
    ),
  staleWhileRevalidate: duration(years)
    .optional()
    .describe(
      'How long after that it is still given out while a fresh one is fetched (RFC 5861 §3); where the upstream says nothing.',
    ),
  staleIfError: duration(years)
    .optional()
    .describe(
      'How long after that it stands in for a failed call, a timeout or an open breaker (RFC 5861 §4); where the upstream says nothing.',
    ),
  scope: z
    .enum(['shared', 'consumer', 'subject'])
    .optional()
    .describe(
      'Who may be given what another was: `shared`, anybody; `consumer`, all subjects of one consumer; `subject`, nobody else ' +
        'whatever the upstream says. Left out: nobody else, unless the upstream says `public`, `s-maxage` or `must-revalidate` ' +
        '(RFC 9111 §3.5).',
    ),
  heuristic: z
    .boolean()
    .optional()
    .describe(
      'Takes an answer without a time for fresh for a tenth of the time since its `Last-Modified`, a day at most (RFC 9111 §4.2.2). Default: false.',
    ),
  tags: z
    .array(z.string().regex(/^[\x21-\x7e]{1,128}$/, 'write a tag without spaces'))
    .max(16)
    .optional()
    .describe(
      'Names by which what is stored can be found; a write that has one of them makes all answers with it invalid.',
    ),
});

/** `cache` of a route or an upstream. */
export const rulesSchema = z.union([z.literal(false), rules]);

export type CacheSettings = z.output<typeof cacheSchema>;

/** As a route or an upstream has it written. */
export type CacheRulesSettings = z.output<typeof rulesSchema>;

/** What the configuration says of storing the answers to a call; undefined where nothing may be stored. */
export type CacheRules = z.output<typeof rules>;

const unsaid: CacheRules = Object.freeze({});

/** What holds for a route: what it says itself, for the rest what its upstream says. */
export function rulesOf(upstream: CacheRulesSettings | undefined, route?: CacheRulesSettings): CacheRules | false {
  if (route === false) return false;
  if (upstream === false) return route ?? false;
  if (!upstream || !route) return route ?? upstream ?? unsaid;
  return { ...upstream, ...route };
}

/**
 * What holds for the calls of a field: what SDL says of it, for the rest what its upstream's settings say. Of what an operator
 * does not let be stored, nothing is.
 */
export function rulesOfField(usual: CacheRules | false, said: CacheRules | undefined): CacheRules | false {
  return said === undefined || usual === false ? usual : { ...usual, ...said };
}
