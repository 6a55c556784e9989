import { z } from 'zod';
import { hopByHop } from '#core/headers.ts';
import { count, headerName } from '#upstreams/fields.ts';

/** Of a body as it is sent; each is held in memory. */
const maxBodyBytes = 64 * 1024;
const maxHeaders = 32;
const maxHeaderLength = 1024;

/** RFC 9110 §15.3.5 and §15.3.6: statuses whose answers have no content. */
const withoutContent: ReadonlySet<number> = new Set([204, 205]);

/** RFC 9110 §15.3.7 and §15.4.5: answers to a range and to a condition, of which a fallback knows nothing. */
const conditional: ReadonlySet<number> = new Set([206, 304]);

/** Besides framing: what the gateway says itself, or never says. */
const ours: ReadonlySet<string> = new Set([
  'age',
  'cache-control',
  'content-encoding',
  'content-length',
  'date',
  'expires',
  'proxy-status',
  'server',
  'traceparent',
  'via',
  'x-powered-by',
  'x-request-id',
]);

const headerField = headerName().refine(
  (name) => !hopByHop.has(name) && !ours.has(name) && !name.startsWith('x-weir-'),
  {
    error: 'is not for a fallback to set; remove it',
  },
);

/** RFC 9110 §5.5, in the characters that every recipient reads alike. */
const headerValue = z
  .string()
  .max(maxHeaderLength)
  .regex(/^[\x21-\x7e]([\t\x20-\x7e]*[\x21-\x7e])?$/, 'write visible ASCII characters in one line, such as text/plain');

/** What a route answers in place of an upstream that fails. */
export const fallbackSchema = z
  .strictObject({
    status: count(200, 599)
      .refine((status) => !conditional.has(status), {
        error: 'answers a range or a condition, which a fallback cannot; write another status, such as 200',
      })
      .default(200)
      .describe(
        'Status of the answer. Below 400 it stands in for GET and HEAD only, since it would claim for other methods that ' +
          'something was done; from 400 on also for those that `methods` names.',
      ),
    body: z
      .unknown()
      .optional()
      .describe(
        'Any value, sent as JSON, of at most 64KiB; text goes out as it is where `headers` says another `content-type`. ' +
          'Empty when left out.',
      ),
    headers: z.record(headerField, headerValue).default({}).describe('Headers of the answer, by name; at most 32.'),
  })
  .refine(({ headers }) => Object.keys(headers).length <= maxHeaders, {
    path: ['headers'],
    error: `are more than ${maxHeaders}; remove some`,
  })
  .refine(({ status, body }) => body === undefined || !withoutContent.has(status), {
    path: ['body'],
    error: 'cannot stand in an answer of this status (RFC 9110 §15.3); remove it, or write another status',
  })
  .refine(({ body, headers }) => typeof body === 'string' || body === undefined || isJson(contentTypeOf(headers)), {
    path: ['body'],
    error: 'is sent as JSON, which is not the content-type under headers; write text, or remove that content-type',
  })
  .refine(({ body, headers }) => (encodeBody(body, headers)?.length ?? 0) <= maxBodyBytes, {
    path: ['body'],
    error: 'is larger than 64KiB; write less',
  });

/** As the program reads it. */
export type FallbackSettings = z.output<typeof fallbackSchema>;

const jsonType = 'application/json';

/** Header names in the file may have capitals. */
function contentTypeOf(headers: Readonly<Record<string, string>>): string {
  return headers['content-type'] ?? jsonType;
}

/** RFC 8259 §11 and RFC 6839 §3.1. */
function isJson(contentType: string): boolean {
  return /^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i.test(contentType);
}

function encodeBody(body: unknown, headers: Readonly<Record<string, string>>): Buffer | undefined {
  if (body === undefined) return undefined;
  const asItIs = typeof body === 'string' && !isJson(contentTypeOf(headers));
  return Buffer.from(asItIs ? body : JSON.stringify(body));
}

/** What of a fallback goes on the wire whenever it stands in. */
export interface FallbackAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | undefined;
}

export function encodeFallback({ status, body, headers }: FallbackSettings): FallbackAnswer {
  const bytes = encodeBody(body, headers);
  return {
    status,
    headers: {
      ...(bytes && { 'content-type': jsonType }),
      ...headers,
      // RFC 9110 §8.6: a 204 has none.
      ...(status !== 204 && { 'content-length': String(bytes?.length ?? 0) }),
    },
    body: bytes,
  };
}

/** RFC 9110 §9.2.1: whose answer claims nothing but what it says. */
const reading: readonly string[] = ['GET', 'HEAD'];

/**
 * The methods that a route's fallback stands in for: one that reads; and one that the route names, if the fallback says
 * of it that it failed.
 */
export function methodsWithFallback(status: number, methods: readonly string[] | undefined): readonly string[] {
  return status < 400 ? reading : [...reading, ...(methods ?? [])];
}

/** Of the methods that a route names, those that fail without a fallback. */
export function methodsWithoutFallback(status: number, methods: readonly string[] = []): readonly string[] {
  const covered = methodsWithFallback(status, methods);
  return methods.filter((method) => !covered.includes(method));
}
