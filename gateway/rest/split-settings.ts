import { z } from 'zod';
import { hashKeySchema } from '#upstreams/balancing/settings.ts';
import { count, name } from '#upstreams/fields.ts';

const target = z.strictObject({
  upstream: name().describe('Upstream that answers this share.'),
  labels: z
    .record(z.string(), z.string())
    .refine((labels) => Object.keys(labels).length > 0, { error: 'write at least one label, or leave labels out' })
    .optional()
    .describe('Only its endpoints with these labels; all when left out.'),
  weight: count(0, 10_000).describe('Share of the requests, relative to the others; 0 takes none.'),
  transform: name().optional().describe("Transform for this share alone; the route's when left out."),
});

/** Several targets of one route, by weight. */
export const splitSchema = z
  .array(target)
  .min(1, 'name at least one upstream')
  .max(16)
  .refine((targets) => targets.some(({ weight }) => weight > 0), {
    error: 'gives nobody a share; write a weight above 0',
  });

export const stickySchema = hashKeySchema;
