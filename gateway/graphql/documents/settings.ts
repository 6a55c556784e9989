import { z } from 'zod';
import { count, size } from '#upstreams/fields.ts';

/** Which GraphQL documents are run, and which are known by an id instead of being sent. */
export const documentsSchema = z
  .strictObject({
    mode: z
      .enum(['open', 'log', 'only'])
      .default('open')
      .describe(
        'What is done with documents that are not trusted: `open` runs them; `log` runs and counts them, in a metric and ' +
          'in the log; `only` refuses them with DOCUMENT_NOT_TRUSTED.',
      ),
    path: z
      .string()
      .min(1, 'write a folder such as ./operations, or leave path out')
      .optional()
      .describe(
        'Trusted documents: a manifest of Apollo, Relay or graphql-codegen, or a folder of such and of `.graphql` files. ' +
          'Read again at each reload.',
      ),
    exempt: z
      .boolean()
      .default(false)
      .describe('Lets trusted documents past maxTokens, maxDepth, maxAliases, maxRootFields and maxDirectives.'),
    automatic: z
      .strictObject({
        enabled: z.boolean().default(true).describe('Keep what clients register; nothing is kept in mode `only`.'),
        maxEntries: count(1, 100_000)
          .default(2000)
          .describe(
            'Documents that are kept, in the process and in Redis each; the least recently used ones give way.',
          ),
        maxBytes: size({ maxBytes: 1024 ** 2 })
          .prefault('16KiB')
          .describe('Longest document that is kept; longer ones run, and are sent whole each time.'),
      })
      .prefault({})
      .describe("Automatic persisted queries, Apollo's protocol: clients send a SHA-256 instead of the document."),
  })
  .refine(({ mode, path }) => mode !== 'only' || path !== undefined, {
    path: ['path'],
    error: 'is missing, and in mode only nothing but the documents there is run; name a folder or a manifest',
  });

export type DocumentsSettings = z.output<typeof documentsSchema>;
