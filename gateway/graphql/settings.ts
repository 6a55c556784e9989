import { z } from 'zod';
import { costSettings } from '#policies/cost/settings.ts';
import { documentLimits } from '#policies/document-limits/settings.ts';
import { requirementSchema } from '#policies/auth/settings.ts';
import { operationLimitList } from '#policies/limits/settings.ts';
import { criticality } from '#policies/overload/settings.ts';
import { count, duration } from '#upstreams/fields.ts';
import { documentsSchema } from './documents/settings.ts';
import { explainSchema } from './explain-settings.ts';

/** The GraphQL door. It opens only where modules are loaded. */
export const graphqlSchema = z.strictObject({
  path: z
    .string()
    .regex(/^(\/[A-Za-z0-9._~-]+)+$/, 'write a plain path such as /graphql')
    .default('/graphql')
    .describe('Where it is served; 404 without modules.'),
  graphiql: z.boolean().default(true).describe('Serve GraphiQL to browsers at the same path.'),
  introspection: z.boolean().default(true).describe('Answer introspection; `false` also silences "Did you mean".'),
  ...documentLimits,
  timeout: duration()
    .prefault('30s')
    .describe('For one operation; what is resolved by then is returned, the rest carries DEADLINE_EXCEEDED.'),
  criticality: criticality()
    .default('default')
    .describe(
      'Of operations whose root fields say nothing by `@criticality`: `critical`, `default` or `sheddable`; see load.md.',
    ),
  maxBatch: count(1, 100).default(10).describe('Operations in one batched request; 1 turns batching off.'),
  subscriptions: z
    .strictObject({
      maxOpen: count(0, 1_000_000)
        .default(1000)
        .describe('Subscriptions open at once over all clients, SSE and WebSocket together; 0 turns them off.'),
      maxPerConnection: count(1, 10_000).default(100).describe('Operations open at once on one WebSocket.'),
    })
    .prefault({})
    .describe('Bounds of subscriptions; what is beyond is refused.'),
  auth: requirementSchema.optional().describe('Who may query; `auth.default` when left out.'),
  onDenied: z
    .enum(['field', 'operation'])
    .default('field')
    .describe(
      'What a field that the reader may not have costs: itself, which is null with FORBIDDEN, or the whole operation.',
    ),
  ...costSettings,
  limits: operationLimitList.describe(
    'Limits of operations, besides those of the tier: of all of them, of those that select a field, or of those of a name.',
  ),
  reportCost: z
    .boolean()
    .default(false)
    .describe('Put `cost`, estimated and actual, into the `extensions` of every answer, not of explained ones alone.'),
  explain: explainSchema,
  development: z
    .boolean()
    .default(false)
    .describe(
      'For who writes modules: anybody may explain, and a loader that is called more often than it need be is logged. It ' +
        'costs time for each field; leave it off where others depend on the gateway.',
    ),
  documents: documentsSchema.prefault({}).describe('Which documents are run, and which are known by an id.'),
});

export type GraphqlSettings = z.output<typeof graphqlSchema>;
