import { z } from 'zod';
import { formatDuration } from '#core/duration.ts';
import { durationBounds } from '#gateway/telemetry/meter.ts';
import { duration, name } from '#upstreams/fields.ts';

const dayMs = 86_400_000;

/** Below 90 % even the slowest burn would use up a budget that is none; above 99.999 % one error in a month is too many. */
const target = z
  .number({ error: 'write a share such as 0.999' })
  .min(0.9, 'write a share from 0.9 to 0.99999')
  .max(0.99999, 'write a share from 0.9 to 0.99999');

/** What the histogram of request durations can tell apart, in milliseconds. */
const boundsMs = durationBounds.map((seconds) => Math.round(seconds * 1000));

/** The bounds on either side of a duration that is none. */
function nearestBounds(ms: number): string {
  const above = boundsMs.find((bound) => bound > ms);
  const below = boundsMs.findLast((bound) => bound < ms);
  return [below, above].flatMap((bound) => (bound === undefined ? [] : formatDuration(bound))).join(' or ');
}

/** One objective for the service that clients get. `weir alerts` prints what watches over it. */
const objectiveSchema = z.strictObject({
  name: name().describe('In the alerts and their labels; unique.'),
  routes: z
    .array(z.string().min(1, 'write the name of a route'))
    .min(1, 'name at least one route, or leave routes out')
    .max(100, 'name at most 100 routes')
    .optional()
    .describe(
      'Routes that it holds for, by `name`, or by host and path where they have none; all requests when left out.',
    ),
  graphql: z
    .boolean()
    .default(false)
    .describe('Whether it holds for `/graphql`; where `routes` is left out too, for nothing else.'),
  availability: target.describe(
    'Share of the requests that must not fail by the fault of the gateway or an upstream: 0.999 allows one in a thousand.',
  ),
  latency: z
    .strictObject({
      under: duration()
        .refine((ms) => boundsMs.includes(ms), {
          error: ({ input }) =>
            `is no bound of the histogram that is counted by; write ${nearestBounds(Number(input))}`,
        })
        .describe(`Longest time to the end of an answer: ${boundsMs.map(formatDuration).join(', ')}.`),
      target: target.describe('Share of the requests that must be answered within it; streams are left out.'),
    })
    .optional()
    .describe('How fast answers must be; no objective when left out.'),
  window: duration({ minMs: 7 * dayMs, maxMs: 90 * dayMs })
    .prefault('30d')
    .describe('Time over which the shares are meant: what may fail in it is the error budget.'),
});

/** The `slo` key. */
export const objectivesSchema = z.array(objectiveSchema).max(100, 'write at most 100 objectives').default([]);

/** As the program reads it. */
export type Objective = z.output<typeof objectiveSchema>;
