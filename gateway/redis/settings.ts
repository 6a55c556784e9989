import { z } from 'zod';
import { count, duration } from '#upstreams/fields.ts';

const address = z
  .string()
  .regex(/^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):\d{1,5}$/, 'write HOST:PORT, such as redis-1:6379');

/** What instances share. */
export const redisSchema = z
  .strictObject({
    url: z
      .union([z.literal(''), z.url({ protocol: /^rediss?$/, error: 'write a redis:// or rediss:// URL' })])
      .default('')
      .describe('`redis://` or, with TLS, `rediss://`; empty: nothing is shared, each instance is on its own.'),
    sentinels: z
      .array(address)
      .max(32)
      .default([])
      .describe('Sentinels, as HOST:PORT, that know where the primary is; then the host of `url` is its name.'),
    nodes: z
      .array(address)
      .max(256)
      .default([])
      .describe('Nodes of a Redis Cluster to begin with, as HOST:PORT, besides that of `url`.'),
    timeout: duration({ maxMs: 10_000 })
      .prefault('25ms')
      .describe('The longest that anything waits for an answer of Redis.'),
    connectTimeout: duration({ maxMs: 60_000 })
      .prefault('2s')
      .describe(
        'For a connection; and how long one may say nothing, when something was asked, before another is made, with sentinels to whoever is the primary then. No request waits for it.',
      ),
    keyPrefix: z
      .string()
      .regex(/^[A-Za-z0-9:_-]{0,64}$/, 'write letters, digits, :, - and _, at most 64')
      .default('weir:')
      .describe('What all keys and channels begin with.'),
    cluster: z.boolean().default(false).describe('Whether `url` is a node of a Redis Cluster; so it is with `nodes`.'),
    maxPending: count(1, 1_000_000)
      .default(10_000)
      .describe('Commands under way at once; what is beyond fails at once, as if Redis were gone.'),
  })
  .refine((redis) => redis.url !== '' || (redis.sentinels.length === 0 && redis.nodes.length === 0), {
    path: ['url'],
    error: 'is empty; write how Redis is reached, such as redis://redis-1:6379',
  })
  .refine((redis) => redis.sentinels.length === 0 || (redis.nodes.length === 0 && !redis.cluster), {
    path: ['sentinels'],
    error: 'are for a Redis that is no cluster; write sentinels or nodes',
  });

export type RedisSettings = z.output<typeof redisSchema>;
