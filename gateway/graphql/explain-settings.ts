import { z } from 'zod';
import { name } from '#upstreams/fields.ts';

/** Who may see what an operation costs, field by field. */
export const explainSchema = z
  .strictObject({
    loopback: z
      .boolean()
      .default(true)
      .describe('Whoever calls from this very machine, past no proxy; `graphql.development` lets in all.'),
    consumers: z.array(name()).max(1_000).default([]).describe('Consumers, by id.'),
    roles: z.array(z.string().min(1)).max(100).default([]).describe('Whoever has one of these roles.'),
  })
  .prefault({})
  .describe('Who may send `x-weir-explain: plan` or `run`; all others get 403. See cost.md.');
