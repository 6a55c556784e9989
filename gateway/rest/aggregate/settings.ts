import { z } from 'zod';
import { duration, name } from '#upstreams/fields.ts';
import { splitTemplate } from '../template.ts';
import { partOf, PartTemplate } from './reference.ts';

const maxParts = 16;
const maxEntries = 64;

/** Names of the request's own values, which parts cannot have. */
const reserved: ReadonlySet<string> = new Set([
  'consumer',
  'subject',
  'request',
  'client',
  'claims',
  'params',
  'query',
]);

const template = z.string().max(1024, 'write at most 1024 characters');

const partPath = template.refine((text) => /^\/[^?#\s]*$/.test(text), {
  error: 'write a path such as /orders/{params.id}; a query belongs to query',
});

/** Names with dots, which lead through objects and through each item of lists. */
const fieldPath = z
  .string()
  .max(256)
  .regex(/^[^.\s]+(\.[^.\s]+)*$/, 'write names of fields with dots between them, such as customer.name')
  .refine((text) => !text.split('.').includes('__proto__'), {
    error: 'names __proto__, which is no field; write another',
  });

const fieldName = z
  .string()
  .max(256)
  .regex(/^[^.\s]+$/, 'write the name of one field, without dots')
  .refine((text) => text !== '__proto__', { error: 'is no name for a field; choose another' });

const few = (map: object) => Object.keys(map).length <= maxEntries;
const tooMany = { error: `are more than ${maxEntries}; remove some` };

const joinSchema = z.strictObject({
  to: fieldPath.describe(
    'The list of another part whose items get something: `order.lines`, or `orders` for a part that is a list.',
  ),
  on: fieldName.describe('Field of those items.'),
  key: fieldName.default('id').describe("Field of this part's items that has the same value."),
  as: fieldName.describe('Field of those items that takes what was found; null where nothing was.'),
  many: z.boolean().default(false).describe('Whether it takes all that were found, as a list, or the first.'),
});

const part = z.strictObject({
  upstream: name().optional().describe('Upstream that is asked, by its name under `upstreams`; or write `loader`.'),
  path: partPath
    .optional()
    .describe(
      'What it is asked for: `/orders/{params.id}`, `/users/{order.customer_id}`. A part that names another waits for it; all others are asked at once.',
    ),
  loader: z
    .string()
    .regex(/^[a-z][a-z0-9-]*\.\w+$/, 'write MODULE.LOADER, such as users.byId')
    .optional()
    .describe(
      "A module's loader, in place of `upstream` and `path`: `users.byId`. Keys of one request go in one call, those of GraphQL fields too.",
    ),
  key: template
    .optional()
    .describe('What it loads: one key, `{params.id}`, or of a list all of them, `{order.lines.product_id}`.'),
  params: z
    .record(z.string().min(1).max(256), z.unknown())
    .refine(few, tooMany)
    .default({})
    .describe('Params of the loader, such as `{ first: 5 }`; texts may have templates.'),
  query: z
    .record(z.string().min(1).max(256), template)
    .refine(few, tooMany)
    .default({})
    .describe('Its query: `{ ids: "{order.lines.product_id}" }`. A list is written with commas, each value once.'),
  from: fieldPath.optional().describe("Where in the upstream's answer the part lies; all of it when left out."),
  pick: z.array(fieldPath).max(maxEntries, tooMany).optional().describe('Fields that it keeps; all when left out.'),
  rename: z.record(fieldPath, fieldName).refine(few, tooMany).default({}).describe('Its fields, from old name to new.'),
  into: z
    .union([z.literal(false), z.literal('.'), fieldPath], {
      error: 'write a path such as customer.contact, "." or false',
    })
    .optional()
    .describe(
      'Where it goes in the answer: a path; `.` for the answer itself, which gets its fields; false for nowhere. Its name when left out, nowhere with `join`.',
    ),
  join: joinSchema.optional().describe("Its items go into those of another part's list."),
  optional: z.boolean().default(false).describe('Whether the answer goes without it: null stands in its place.'),
  fallback: z.unknown().optional().describe('Any value that stands in its place instead; makes it optional.'),
  timeout: duration().optional().describe("Time for its answer, in place of the upstream's `timeout`."),
});

/** Of two ways to get a part, the keys of one. */
const ways = { upstream: ['upstream', 'path'], loader: ['loader', 'key'] } as const;

function wayProblems(own: string, settings: PartSettings): Problem[] {
  const way = settings.loader === undefined && settings.key === undefined ? 'upstream' : 'loader';
  const other = way === 'upstream' ? 'loader' : 'upstream';
  const besides = way === 'upstream' ? (['params', settings.params] as const) : (['query', settings.query] as const);
  return [
    ...(Object.keys(besides[1]).length > 0
      ? [[[own, besides[0]], `has no meaning beside ${way}; remove one of the two`] as const]
      : []),
    ...ways[way].flatMap((key): Problem[] =>
      settings[key] === undefined ? [[[own, key], 'is missing; write it'] as const] : [],
    ),
    ...ways[other].flatMap((key): Problem[] =>
      settings[key] === undefined ? [] : [[[own, key], `has no meaning beside ${way}; remove one of the two`] as const],
    ),
  ];
}

/** One answer from several calls. */
export const aggregateSchema = z
  .strictObject({
    parts: z
      .record(name(), part)
      .refine((parts) => Object.keys(parts).length > 0, { error: 'has none; write at least one' })
      .refine((parts) => Object.keys(parts).length <= maxParts, { error: `are more than ${maxParts}; remove some` })
      .describe('Calls whose answers are merged, by name.'),
    schema: z.record(z.string(), z.unknown()).optional().describe('JSON Schema of the answer, for `/openapi.json`.'),
  })
  .superRefine(({ parts }, context) => {
    for (const [path, message] of problemsOf(parts)) {
      context.addIssue({ code: 'custom', path: ['parts', ...path], message, input: parts });
    }
  });

export type PartSettings = z.output<typeof part>;
export type AggregateSettings = z.output<typeof aggregateSchema>;

type Problem = readonly [path: readonly string[], message: string];

function problemsOf(parts: Readonly<Record<string, PartSettings>>): Problem[] {
  const names = Object.keys(parts);
  const found = names.flatMap((own): Problem[] => {
    const { join } = parts[own]!;
    const others = names.filter((other) => other !== own);
    const texts = textsOf(own, parts[own]!);
    return [
      ...wayProblems(own, parts[own]!),
      ...(reserved.has(own)
        ? [[[own], 'is what templates call values of the request; choose another name'] as const]
        : []),
      ...texts.flatMap(([place, text]): Problem[] => {
        const problem = problemOf(text, others);
        return problem === undefined ? [] : [[place, problem]];
      }),
      ...(join && !others.includes(partOf(join.to))
        ? [
            [
              [own, 'join', 'to'],
              `begins with no other part; write one of ${others.join(', ') || 'several parts'}`,
            ] as const,
          ]
        : []),
    ];
  });
  if (found.length > 0) return found;
  const circle =
    findCircle(names, (own) => dependenciesOf(parts[own]!, names)) ??
    findCircle(names, (own) => (parts[own]!.join ? [partOf(parts[own]!.join.to)] : []));
  return circle
    ? [[[circle[0]!], `waits for itself: ${circle.join(', ')}; let one of them do without the others`]]
    : [];
}

/** Every template of a part, with its place. */
function textsOf(own: string, { path, query, key, params }: PartSettings): readonly Problem[] {
  return [
    ...(path === undefined ? [] : [[[own, 'path'], path] as const]),
    ...(key === undefined ? [] : [[[own, 'key'], key] as const]),
    ...Object.entries(query).map(([name_, text]) => [[own, 'query', name_], text] as const),
    ...Object.entries(params).flatMap(([name_, value]) =>
      typeof value === 'string' ? [[[own, 'params', name_], value] as const] : [],
    ),
  ];
}

function problemOf(text: string, parts: readonly string[]): string | undefined {
  try {
    return new PartTemplate(text, parts).parts.length >= 0 ? undefined : '';
  } catch (error) {
    return (error as TypeError).message;
  }
}

/** The parts that a part names. */
export function dependenciesOf(settings: PartSettings, names: readonly string[]): readonly string[] {
  const referred = textsOf('', settings).flatMap(([, text]) => {
    const split = splitTemplate(text);
    return 'parts' in split ? split.parts.filter((_, index) => index % 2 === 1).map(partOf) : [];
  });
  return [...new Set(referred.filter((own) => names.includes(own)))];
}

function findCircle(
  names: readonly string[],
  next: (name: string) => readonly string[],
): readonly string[] | undefined {
  const done = new Set<string>();
  const visit = (at: string, way: readonly string[]): readonly string[] | undefined => {
    if (way.includes(at)) return way.slice(way.indexOf(at));
    if (done.has(at)) return undefined;
    for (const other of next(at)) {
      const circle = visit(other, [...way, at]);
      if (circle) return circle;
    }
    done.add(at);
    return undefined;
  };
  for (const start of names) {
    const circle = visit(start, []);
    if (circle) return circle;
  }
  return undefined;
}

/** Parameters of the path that an aggregate names, with their places. */
export function parametersOf({ parts }: AggregateSettings): readonly (readonly [readonly string[], string])[] {
  const names = Object.keys(parts);
  return names.flatMap((own) =>
    textsOf(own, parts[own]!).flatMap(([place, text]) => {
      if (problemOf(text, names) !== undefined) return [];
      return new PartTemplate(text, names).params.map((parameter) => [place, parameter] as const);
    }),
  );
}
