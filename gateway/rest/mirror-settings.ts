import { z } from 'zod';
import { count, method, name, size } from '#upstreams/fields.ts';
import { path } from './path-field.ts';

const written = z.strictObject({
  upstream: name().describe('Upstream that gets the copies; another than the one that answers.'),
  percent: z
    .number({ error: 'write a number from 0 to 100' })
    .min(0)
    .max(100)
    .default(100)
    .describe('Share of the requests that are copied.'),
  methods: z
    .array(method())
    .min(1, 'name at least one method, or leave methods out')
    .default(['GET', 'HEAD'])
    .describe(
      'Methods that are copied. One that writes is done twice: name it only where the other upstream writes elsewhere.',
    ),
  rewrite: path.optional().describe("Path there, with parameters of `path`; the route's own `rewrite` when left out."),
  maxInFlight: count(1, 10_000).default(32).describe('Copies under way at once, in each process; more are left out.'),
  maxBodyBytes: size().prefault('64KiB').describe('Largest request body that is copied; a larger one is left out.'),
});

/** A copy of some of a route's requests, for an upstream whose answers nobody waits for. */
export const mirrorSchema = z.union([name().transform((upstream) => written.parse({ upstream })), written], {
  error: 'write the name of an upstream, or { upstream: NAME, … }',
});

export type MirrorSettings = z.output<typeof written>;
