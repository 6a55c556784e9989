import { errorCodes, errorRow, type ErrorCode } from '#core/errors.ts';
import type { JsonMap } from '#upstreams/service-document.ts';
import type { Components } from './components.ts';

/** Codes that no answer of a REST route has: those of GraphQL, and what no client sees. */
const elsewhere =
  /^(GRAPHQL_|PERSISTED_|DOCUMENT_|BAD_USER_INPUT$|COST_LIMIT_EXCEEDED$|UPSTREAM_ERROR$|CLIENT_CLOSED_REQUEST$)/;

const restCodes = errorCodes.filter((code) => !elsewhere.test(code));
const limited = restCodes.some((code) => errorRow(code).status === 429);

/** Headers of every answer, as references. */
export const answerHeaders: JsonMap = Object.fromEntries(
  ['X-Request-Id', ...(limited ? ['RateLimit', 'RateLimit-Policy'] : [])].map((name) => [
    name,
    { $ref: `#/components/headers/${name}` },
  ]),
);

/** The same of answers that are made of several. */
export const composedHeaders: JsonMap = {
  ...answerHeaders,
  'X-Weir-Completed': { $ref: '#/components/headers/X-Weir-Completed' },
  'X-Weir-Missing': { $ref: '#/components/headers/X-Weir-Missing' },
};

const headers: Readonly<Record<string, JsonMap>> = {
  'X-Weir-Completed': {
    description: 'Whether all of the answer is there; what is missing is null in it, or has something in its place.',
    schema: { enum: ['true', 'false'] },
  },
  'X-Weir-Missing': { description: 'The parts that are missing.', schema: { type: 'string' } },
  'X-Request-Id': { description: 'Of this request; quote it when you report a problem.', schema: { type: 'string' } },
  'Retry-After': { description: 'Seconds to wait before the next attempt.', schema: { type: 'integer', minimum: 1 } },
  ...(limited && {
    RateLimit: {
      description: 'What is left of each limit, and for how long (draft-ietf-httpapi-ratelimit-headers).',
      schema: { type: 'string' },
      example: '"minute";r=42;t=17',
    },
    'RateLimit-Policy': {
      description: 'The limits that count here.',
      schema: { type: 'string' },
      example: '"minute";q=600;w=60',
    },
  }),
};

const problemSchema: JsonMap = {
  description: 'An error that the gateway itself answers with (RFC 9457).',
  type: 'object',
  required: ['type', 'title', 'status', 'code', 'requestId'],
  properties: {
    type: { type: 'string', format: 'uri-reference', description: 'Opens a page about the error.' },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string', description: 'What is wrong with this request.' },
    code: { type: 'string', enum: [...restCodes], description: 'Stays the same; decide by it.' },
    upstream: { type: 'string', description: 'The service behind the gateway that failed.' },
    requestId: { type: 'string' },
    errors: {
      type: 'array',
      description: 'With REQUEST_INVALID: everything that is wrong.',
      items: {
        type: 'object',
        required: ['detail'],
        properties: {
          detail: { type: 'string' },
          pointer: { type: 'string', description: 'Place in the body, a JSON Pointer (RFC 6901) after #.' },
          parameter: { type: 'string' },
          in: { type: 'string', enum: ['path', 'query', 'header'] },
        },
      },
    },
  },
};

function answer(status: string, codes: readonly ErrorCode[]): JsonMap {
  const lines = codes.map((code) => `- \`${code}\`: ${errorRow(code).title}.`);
  const later = codes.some((code) => errorRow(code).retry !== 'no' && errorRow(code).status >= 429);
  const [code] = codes;
  return {
    description: `From the gateway itself.\n\n${lines.join('\n')}`,
    headers: { ...answerHeaders, ...(later && { 'Retry-After': { $ref: '#/components/headers/Retry-After' } }) },
    content: {
      'application/problem+json': {
        schema: { $ref: '#/components/schemas/Problem' },
        ...(code !== undefined &&
          status !== 'default' && {
            example: {
              type: `/docs/errors/${code}`,
              title: errorRow(code).title,
              status: errorRow(code).status,
              code,
              requestId: '7f3c1d52-6c1c-4a53-9a60-0d5a7a3b9f10',
            },
          }),
      },
    },
  };
}

/** Puts in what answers of the gateway itself are described with. */
export function defineAnswers(components: Components, composed: boolean): void {
  for (const [name, header] of Object.entries(headers))
    if (composed || !name.startsWith('X-Weir-')) components.set('headers', name, header);
  components.set('schemas', 'Problem', problemSchema);
  const statuses = [...new Set(restCodes.map((code) => errorRow(code).status))];
  for (const status of statuses) {
    const codes = restCodes.filter((code) => errorRow(code).status === status);
    components.set('responses', `Gateway${status}`, answer(String(status), codes));
  }
  components.set('responses', 'GatewayError', answer('default', restCodes));
}

/** What the gateway may answer an operation with: those statuses by which a client decides, all else as `default`. */
export function gatewayAnswers(operation: {
  readonly secured: boolean;
  readonly body: boolean;
  /** It is made here, so that it is said here, too, that there is no such thing. */
  readonly composed: boolean;
}): JsonMap {
  const { secured, body, composed } = operation;
  const statuses = [
    400,
    ...(secured ? [401, 403] : []),
    ...(composed ? [404] : []),
    ...(body ? [413, 415] : []),
    ...(limited ? [429] : []),
    502,
    503,
    504,
  ];
  return {
    ...Object.fromEntries(
      statuses.map((status) => [String(status), { $ref: `#/components/responses/Gateway${status}` }]),
    ),
    default: { $ref: '#/components/responses/GatewayError' },
  };
}
