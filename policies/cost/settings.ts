import { z } from 'zod';
import { count, name, price } from '#upstreams/fields.ts';

/** The dearest that an operation may be allowed to be, in calls. */
const maxCalls = 1_000_000;

/** What a GraphQL operation may cost at most, and what of it costs besides calls. */
export const costSettings = {
  maxCost: price(maxCalls)
    .prefault(500)
    .describe('What an operation may cost at most, in upstream calls, by its estimate; beyond it nothing is run.'),
  maxCostPerUpstream: z
    .record(
      name(),
      z.union([
        price(maxCalls).transform((max) => ({ max, skip: false })),
        z.strictObject({
          max: price(maxCalls).describe('What the calls to the upstream may cost at most.'),
          skip: z
            .boolean()
            .default(false)
            .describe('Leave out just its fields, as null with COST_LIMIT_EXCEEDED, and run the rest.'),
        }),
      ]),
    )
    .default({})
    .describe('The same of the calls to one upstream, by its name: a price, or `{ max: 50, skip: true }`.'),
  nodeCost: price()
    .prefault(0.01)
    .describe('Price of an object in an answer, in upstream calls, where its type has no `@cost`.'),
  defaultListSize: count(1, 10_000)
    .default(100)
    .describe('Objects in a list of which `@listSize` says nothing; `weir check` names those lists.'),
};

const costSchema = z.strictObject(costSettings);

export type CostSettings = z.output<typeof costSchema>;
