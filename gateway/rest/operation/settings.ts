import { z } from 'zod';
import { PartTemplate } from '../aggregate/reference.ts';

/** What a template may name besides the request's own values. */
export const bodyName = 'body';

const documentId = z
  .string()
  .regex(/^[\w.~:+/=-]{1,256}$/, 'write the id of a trusted document, such as the name of its file without .graphql');

const graphqlName = z
  .string()
  .max(256)
  .regex(/^[_A-Za-z]\w*$/, 'write a name of GraphQL: letters, digits and _');

const path = z
  .string()
  .max(256)
  .regex(/^[_A-Za-z]\w*(\.[_A-Za-z]\w*)*$/, 'write names of fields with dots between them, such as user.orders');

/** What is wrong with a template of a variable; undefined when nothing is. */
function templateProblem(text: string): string | undefined {
  try {
    return new PartTemplate(text, [bodyName]).parts.length >= 0 ? undefined : '';
  } catch (error) {
    return (error as TypeError).message;
  }
}

const template = z
  .string()
  .max(1024, 'write at most 1024 characters')
  .refine((text) => templateProblem(text) === undefined, { error: ({ input }) => templateProblem(String(input)) });

const few = (map: object) => Object.keys(map).length <= 64;
const tooMany = { error: 'are more than 64; remove some' };

const written = z.strictObject({
  document: documentId.describe('A document of `graphql.documents.path`, by its id.'),
  name: graphqlName.optional().describe('The operation, where the document has several.'),
  variables: z
    .record(graphqlName, template)
    .refine(few, tooMany)
    .default({})
    .describe(
      'Where variables come from: `{params.id}`, `{query.first}`, `{body}`, `{body.lines}`, `{consumer.id}`. Those that are left ' +
        'out come from the parameter of the path, else of the query, else the field of the body that has their name.',
    ),
  result: path
    .optional()
    .describe(
      'Where in `data` the answer lies, such as `user.orders`; where it is null, it is 404. All of `data` when left out.',
    ),
  status: z.number().int().min(200).max(299).default(200).describe('Status of an answer that holds it.'),
  errors: z
    .record(
      z.string().regex(/^[A-Z][A-Z0-9_]{0,63}$/, 'write a code such as OUT_OF_STOCK'),
      z.number().int().min(400).max(599),
    )
    .refine(few, tooMany)
    .default({})
    .describe('Status of an error, by its code; that of docs/errors.md when left out, and 400 for codes of modules.'),
});

/** A route that is answered by a stored GraphQL operation. */
export const operationSchema = z.union([documentId.transform((document) => written.parse({ document })), written], {
  error: 'write the id of a trusted document, or { document: ID, … }',
});

export type OperationSettings = z.output<typeof written>;

/** Parameters of the path that an operation's variables name, with their places. */
export function operationParameters({
  variables,
}: OperationSettings): readonly (readonly [readonly string[], string])[] {
  return Object.entries(variables).flatMap(([name, text]) =>
    templateProblem(text) === undefined
      ? new PartTemplate(text, [bodyName]).params.map((parameter) => [['variables', name], parameter] as const)
      : [],
  );
}
