import { z } from 'zod';
import { duration } from '#upstreams/fields.ts';

/** RFC 3339, of the day or to the second; milliseconds since the epoch to the program. */
function instant() {
  const example = 'write a day or an instant, such as 2027-06-30 or 2027-06-30T12:00:00Z';
  return z
    .string({ error: example })
    .regex(/^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d))?$/, example)
    .refine((text) => !Number.isNaN(Date.parse(text)), { error: 'is no day of the calendar; write one that is' })
    .transform((text) => Date.parse(text));
}

/** RFC 3986, in the characters that may stand between `<` and `>` of a Link. */
const reference = z
  .string()
  .max(2_048)
  .regex(
    /^(https?:\/\/|\/)[\x21-\x3b\x3d\x3f-\x7e]*$/,
    'write a path or a URL, such as /v2/orders or https://example.com/v2',
  );

const brownout = z
  .strictObject({
    from: instant().describe('When it begins for the first time.'),
    for: duration({ minMs: 1_000, maxMs: 7 * 86_400_000 }).describe('How long it lasts.'),
    every: duration({ minMs: 60_000, maxMs: 366 * 86_400_000 })
      .optional()
      .describe('How long after its beginning it begins again, until `sunset`; once when left out.'),
    status: z
      .union([z.literal(410), z.literal(503)], { error: 'write 410 or 503' })
      .default(503)
      .describe('503 to be tried again later, 410 as it will be in the end.'),
  })
  .refine((written) => written.every === undefined || written.every > written.for, {
    path: ['every'],
    error: 'is no longer than `for`, so it would never end; write a longer one',
  });

/** A route on its way out. */
export const retirementSchema = z
  .strictObject({
    since: instant().describe('Since when it is deprecated; may be in the future (RFC 9745).'),
    sunset: instant()
      .optional()
      .describe('When it is gone: 410 from then on (RFC 8594). It stays until somebody writes it when left out.'),
    successor: reference.optional().describe('What to use instead: a path here or a URL.'),
    link: reference.optional().describe('Where clients read what to do.'),
    brownouts: z
      .array(brownout)
      .max(32)
      .default([])
      .describe('Times in which it fails on purpose, so that clients notice.'),
  })
  .refine(({ since, sunset }) => sunset === undefined || sunset >= since, {
    path: ['sunset'],
    error: 'is before since; write a later day',
  });

/** As the program reads it. */
export type RetirementSettings = z.output<typeof retirementSchema>;
