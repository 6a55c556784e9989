import { z } from 'zod';
import { spendDimensions, spendWindows, type SpendDimension, type SpendQuestion } from '#gateway/spend/report.ts';
import { parse, type Parsed } from './parsed.ts';

const maxTop = 500;
const windows = `write ${spendWindows.join(', ')}`;
const bounds = `write a number from 1 to ${maxTop}`;

const schema = z.strictObject({
  minutes: z.coerce
    .number({ error: windows })
    .default(5)
    .pipe(z.literal([...spendWindows], { error: windows })),
  by: z
    .string()
    .default(spendDimensions.join(','))
    .transform((text) => text.split(','))
    .refine(
      (names): names is SpendDimension[] =>
        names.every((name) => (spendDimensions as readonly string[]).includes(name)),
      {
        error: `write one or more of ${spendDimensions.join(',')}`,
      },
    ),
  top: z.coerce
    .number({ error: bounds })
    .default(20)
    .pipe(z.int({ error: bounds }).min(1).max(maxTop)),
});

/** GET /admin/spend?minutes=5&by=consumer,upstream&top=20 */
export function spendQuestion(query: unknown): Parsed<SpendQuestion> {
  return parse(schema, query) as Parsed<SpendQuestion>;
}
