import { z } from 'zod';
import { hopByHop } from '#core/headers.ts';
import { headerName } from '#upstreams/fields.ts';
import { isOurs } from '../own-headers.ts';
import { templateProblem } from '../template.ts';
import { pointerProblem } from './pointer.ts';

const maxEntries = 32;
const maxLength = 1024;

/** Of an answer: framing, and what the gateway says itself or keeps. Each family but `access-control-` has no other place. */
const answerOurs =
  /^(content-length|content-encoding|date|server|via|x-powered-by|x-request-id|traceparent|proxy-status|cache-status|ratelimit.*|x-ratelimit-.*|x-weir-.*)$/;

/** What is wrong with a header that is to be changed; undefined when nothing is. */
function requestNameProblem(name: string): string | undefined {
  if (hopByHop.has(name) || name === 'content-length') return 'frames the message, which each hop does anew; remove it';
  if (name === 'authorization' || name === 'cookie')
    return 'is a credential; remove it, and write what the upstream is shown under its identity or cookies';
  if (isOurs(name) || isOurs(name.replaceAll('_', '-'))) return 'is written by the gateway alone; remove it';
  return undefined;
}

function answerNameProblem(name: string): string | undefined {
  if (hopByHop.has(name)) return 'frames the message, which each hop does anew; remove it';
  if (name.startsWith('access-control-')) return 'belongs to CORS; remove it, and write cors';
  return answerOurs.test(name) ? 'is written by the gateway alone; remove it' : undefined;
}

const template = z
  .string()
  .max(maxLength, `write at most ${maxLength} characters`)
  .refine((text) => templateProblem(text) === undefined, { error: ({ input }) => templateProblem(String(input)) });

const headerValue = template.refine((text) => /^[\t\x20-\x7e]*$/.test(text), {
  error: 'write visible ASCII characters in one line',
});

const few = (map: object) => Object.keys(map).length <= maxEntries;
const tooMany = { error: `are more than ${maxEntries}; remove some` };

function changes(problem: (name: string) => string | undefined, whose: string) {
  const name = headerName().refine((text) => problem(text.toLowerCase()) === undefined, {
    error: ({ input }) => problem(String(input).toLowerCase()),
  });
  return z.strictObject({
    rename: z
      .record(name, name)
      .refine(few, tooMany)
      .default({})
      .describe(`Headers of the ${whose}, from old name to new.`),
    remove: z.array(name).max(maxEntries, tooMany).default([]).describe(`Headers that the ${whose} loses.`),
    set: z
      .record(name, headerValue)
      .refine(few, tooMany)
      .default({})
      .describe(
        `Headers that the ${whose} gets in place of its own, with templates such as \`{consumer.id}\`; one whose value is not there is left out.`,
      ),
  });
}

/** Headers of a route's requests and answers: renamed, then removed, then set. */
export const headersSchema = z.strictObject({
  request: changes(requestNameProblem, 'request').optional().describe('On the way to the upstream.'),
  response: changes(answerNameProblem, 'answer').optional().describe("Of the upstream's answer."),
});

const parameter = z.string().min(1).max(256);

/** The query of a route's requests: renamed, then removed, then set. */
export const querySchema = z.strictObject({
  rename: z.record(parameter, parameter).refine(few, tooMany).default({}).describe('Parameters, from old name to new.'),
  remove: z
    .array(parameter)
    .max(maxEntries, tooMany)
    .default([])
    .describe('Parameters that the upstream does not get.'),
  set: z
    .record(parameter, template)
    .refine(few, tooMany)
    .default({})
    .describe('Parameters in place of those of the client, with templates; one whose value is not there is left out.'),
});

const pointer = z
  .string()
  .refine((text) => pointerProblem(text) === undefined, { error: ({ input }) => pointerProblem(String(input)) });

const member = z
  .string()
  .min(1)
  .max(256)
  .refine((name) => name !== '__proto__', { error: 'is no name for a field; choose another' });

/** What is wrong with a value whose texts are templates; undefined when nothing is. */
function valueProblem(value: unknown): string | undefined {
  if (typeof value === 'string') return templateProblem(value);
  if (typeof value !== 'object' || value === null) return undefined;
  if (Object.hasOwn(value, '__proto__')) return 'has a field __proto__, which is no name for one; choose another';
  return Object.values(value)
    .map(valueProblem)
    .find((problem) => problem !== undefined);
}

const json = z
  .unknown()
  .refine((value) => valueProblem(value) === undefined, { error: ({ input }) => valueProblem(input) });

const fields = z.strictObject({
  rename: z
    .record(pointer, member)
    .refine(few, tooMany)
    .default({})
    .describe('Fields by JSON Pointer (RFC 6901), to a new name beside the old; `*` stands for each item of an array.'),
  remove: z.array(pointer).max(maxEntries, tooMany).default([]).describe('Fields that are taken out.'),
  set: z
    .record(pointer, json)
    .refine(few, tooMany)
    .default({})
    .describe('Fields with their values, with templates in texts; one whose value is not there is taken out.'),
});

/** JSON bodies of a route: fields are renamed, then removed, then set. */
export const bodySchema = z.strictObject({
  request: fields.optional().describe('Of the request; held whole, up to `maxBodyBytes`.'),
  response: fields
    .optional()
    .describe("Of answers with a status of 2xx; held whole, up to the upstream's `maxResponseBytes`."),
});

type Changes = z.output<ReturnType<typeof changes>>;
export type HeaderChanges = Changes;
export type QueryChanges = z.output<typeof querySchema>;
export type FieldChanges = z.output<typeof fields>;

/** Of one route. */
export interface TransformSettings {
  readonly headers?: z.output<typeof headersSchema> | undefined;
  readonly query?: QueryChanges | undefined;
  readonly body?: z.output<typeof bodySchema> | undefined;
}

/** Every template of a route, with its place in it. */
export function templatesOf({ headers, query, body }: TransformSettings): (readonly [readonly string[], string])[] {
  return [
    ...textsIn(headers?.request?.set, ['headers', 'request', 'set']),
    ...textsIn(headers?.response?.set, ['headers', 'response', 'set']),
    ...textsIn(query?.set, ['query', 'set']),
    ...textsIn(body?.request?.set, ['body', 'request', 'set']),
    ...textsIn(body?.response?.set, ['body', 'response', 'set']),
  ];
}

function textsIn(value: unknown, path: readonly string[]): (readonly [readonly string[], string])[] {
  if (typeof value === 'string') return [[path, value]];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, child]) => textsIn(child, [...path, key]));
}
