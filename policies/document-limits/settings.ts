import { z } from 'zod';
import { count } from '#upstreams/fields.ts';

/** What a GraphQL document may have; beyond it the document is refused before anything is spent on it. */
export const documentLimits = {
  maxDepth: count(1, 100).default(12).describe('Levels of fields in an operation, fragments included.'),
  maxAliases: count(0, 10_000)
    .default(30)
    .describe('Aliases in an operation, fragments included; each is a field resolved once more.'),
  maxTokens: count(10, 100_000).default(2000).describe('Lexical tokens of a document, counted before it is parsed.'),
  maxRootFields: count(1, 10_000).default(20).describe('Fields of Query, Mutation or Subscription in an operation.'),
  maxDirectives: count(0, 10_000).default(50).describe('Directives in a document.'),
};

const documentLimitsSchema = z.strictObject(documentLimits);

export type DocumentLimits = z.output<typeof documentLimitsSchema>;
