/**
 * Every error a client can meet, in one table. REST prints a row as `application/problem+json` (RFC 9457), GraphQL puts
 * its `code` in `extensions`; `docs/errors.md` and the pages under `/docs/errors/CODE` are generated from it.
 */

/** Who has to act: the caller, whoever runs the gateway, or the team behind an upstream. */
export type Fault = 'client' | 'gateway' | 'upstream';

/** Whether sending the same request again can help. */
export type Retry = 'no' | 'later' | 'yes';

interface ErrorRow {
  readonly status: number;
  readonly fault: Fault;
  readonly title: string;
  readonly retry: Retry;
  /** What it means, in a sentence or two, for the reader of `/docs/errors/CODE`. */
  readonly meaning: string;
  /** What the reader should do about it. */
  readonly action: string;
  /** The problem type (RFC 9457 §3.1.1), where it is not a page of ours. */
  readonly type?: string;
  /** The RFC 9209 §2.3 error type that `Proxy-Status` carries; left out for what no client sees. */
  readonly proxyStatus?: string;
}

export const errorTable = {
  BAD_REQUEST: {
    status: 400,
    fault: 'client',
    title: 'The request cannot be understood',
    retry: 'no',
    meaning: 'The request line, a header or the body is malformed, or can be read in two ways.',
    action: 'Correct the request; the detail says which part is wrong.',
    proxyStatus: 'http_request_error',
  },
  REQUEST_INVALID: {
    status: 400,
    fault: 'client',
    title: 'The request does not fit the description of the API',
    retry: 'no',
    meaning:
      'A parameter, a header or the body is not what the OpenAPI document of the API says; `errors` lists each, with its name or ' +
      'its JSON Pointer in the body.',
    action: 'Correct what `errors` names. The document is at `/openapi.json`, to be read at `/docs`.',
    proxyStatus: 'http_request_error',
  },
  CREDENTIALS_CONFLICT: {
    status: 400,
    fault: 'client',
    title: 'The credentials name different consumers',
    retry: 'no',
    meaning: 'The request shows two credentials that are both right and belong to different consumers.',
    action: 'Send one of them.',
    proxyStatus: 'http_request_denied',
  },
  UNAUTHENTICATED: {
    status: 401,
    fault: 'client',
    title: 'A valid credential is needed',
    retry: 'no',
    meaning: 'The request shows no credential that counts here, or one that is refused; the detail says why.',
    action: 'Send what `WWW-Authenticate` asks for: a bearer token that is valid now, or an API key.',
    proxyStatus: 'http_request_denied',
  },
  FORBIDDEN: {
    status: 403,
    fault: 'client',
    title: 'The credential does not allow this',
    retry: 'no',
    meaning: 'Who is asking is known, and may not do this: a scope or a role is missing.',
    action: 'Ask for a token with the scope that the detail names, or ask whoever runs the gateway.',
    proxyStatus: 'http_request_denied',
  },
  BLOCKED: {
    status: 403,
    fault: 'client',
    title: 'You are kept out for a while',
    retry: 'no',
    meaning: 'Whoever runs the gateway has blocked this consumer or address, whatever it shows; it ends by itself.',
    action: 'Ask whoever runs the gateway; sending more of the same will not help.',
    proxyStatus: 'http_request_denied',
  },
  ROUTE_NOT_FOUND: {
    status: 404,
    fault: 'client',
    title: 'No such route',
    retry: 'no',
    meaning: 'The gateway serves nothing under this host and path.',
    action: 'Check the host and the path. An operator finds all routes with `weir config`.',
    proxyStatus: 'destination_not_found',
  },
  PART_NOT_FOUND: {
    status: 404,
    fault: 'client',
    title: 'What was asked for does not exist',
    retry: 'no',
    meaning:
      'The answer is made of several, and a service says of one that it cannot go without (`parts`) that it does not exist.',
    action: 'Check the ids in the path and the query.',
    proxyStatus: 'http_request_error',
  },
  METHOD_NOT_ALLOWED: {
    status: 405,
    fault: 'client',
    title: 'The route does not take this method',
    retry: 'no',
    meaning: 'The path exists, but not with this method; the `Allow` header lists those it has.',
    action: 'Use one of the methods in `Allow`.',
    proxyStatus: 'http_request_denied',
  },
  NOT_ACCEPTABLE: {
    status: 406,
    fault: 'client',
    title: 'No acceptable representation',
    retry: 'no',
    meaning: 'The request accepts only media types that this resource does not have.',
    action: 'Send an `Accept` header that includes a type the resource has, or none.',
    proxyStatus: 'http_request_denied',
  },
  REQUEST_TIMEOUT: {
    status: 408,
    fault: 'client',
    title: 'The request did not arrive in time',
    retry: 'yes',
    meaning: 'The client sent its headers or its body too slowly.',
    action: 'Send the request again, without pauses.',
    proxyStatus: 'http_request_error',
  },
  GONE: {
    status: 410,
    fault: 'client',
    title: 'It is not served any more',
    retry: 'no',
    meaning:
      'The route was deprecated, with notice in `Deprecation` and `Sunset`, and its time is over; or it is off for a while, so ' +
      'that it is noticed.',
    action: 'Use the `successor`. Where the detail says that it is off for a while, it comes back until its last day.',
    proxyStatus: 'http_request_denied',
  },
  BODY_TOO_LARGE: {
    status: 413,
    fault: 'client',
    title: 'The request body is too large',
    retry: 'no',
    meaning: 'The body is larger than this route takes.',
    action: 'Send less. An operator raises `listen.maxBodyBytes` or the `maxBodyBytes` of the route.',
    proxyStatus: 'http_request_denied',
  },
  URI_TOO_LONG: {
    status: 414,
    fault: 'client',
    title: 'The request target is too long',
    retry: 'no',
    meaning: 'The path with its query is longer than the gateway reads.',
    action: 'Shorten the query, or send it as the body of a POST where the route takes one.',
    proxyStatus: 'http_request_denied',
  },
  UNSUPPORTED_MEDIA_TYPE: {
    status: 415,
    fault: 'client',
    title: 'The content type is not supported',
    retry: 'no',
    meaning: 'The body has a content type, or a content coding, that this route does not take.',
    action: 'Send the body as the route documents it, for GraphQL `application/json`.',
    proxyStatus: 'http_request_denied',
  },
  EXPECTATION_FAILED: {
    status: 417,
    fault: 'client',
    title: 'The expectation cannot be met',
    retry: 'no',
    meaning: 'The request has an `Expect` header other than `100-continue` (RFC 9110 §10.1.1).',
    action: 'Leave the `Expect` header out.',
    proxyStatus: 'http_request_denied',
  },
  UPGRADE_REFUSED: {
    status: 426,
    fault: 'client',
    title: 'The upgrade is not possible here',
    retry: 'no',
    meaning: 'The request asks for a protocol that this path does not speak.',
    action: 'Use the WebSocket protocol, version 13, and a path that takes it.',
    proxyStatus: 'http_request_denied',
  },
  RATE_LIMITED: {
    status: 429,
    fault: 'client',
    title: 'The quota is used up',
    retry: 'later',
    meaning:
      'A limit of the consumer, of the address or of the route has no room for the request. `violated-policies` names it, as ' +
      '`RateLimit-Policy` does.',
    action:
      'Wait for the time in `Retry-After`, then send the request again. `RateLimit` says on every answer what is left.',
    type: 'https://iana.org/assignments/http-problem-types#quota-exceeded',
    proxyStatus: 'http_request_denied',
  },
  HEADERS_TOO_LARGE: {
    status: 431,
    fault: 'client',
    title: 'The request headers are too large',
    retry: 'no',
    meaning: 'The header section is larger than `listen.maxHeaderBytes`, or has more than 128 lines.',
    action: 'Send fewer or shorter headers; large cookies are the usual cause.',
    proxyStatus: 'http_request_denied',
  },
  CLIENT_CLOSED_REQUEST: {
    status: 499,
    fault: 'client',
    title: 'The client went away',
    retry: 'yes',
    meaning: 'The client closed the connection before the answer was complete. No client sees this code; logs do.',
    action: 'Nothing, unless it is frequent: then the client is less patient than the upstream is fast.',
  },
  NOT_STORED: {
    status: 504,
    fault: 'client',
    title: 'No stored answer can be used',
    retry: 'no',
    meaning: 'The request says `Cache-Control: only-if-cached`, and the gateway has no stored answer that it may give.',
    action: 'Send the request without `only-if-cached`; its answer comes from the upstream then.',
    proxyStatus: 'http_request_denied',
  },
  GRAPHQL_PARSE_FAILED: {
    status: 400,
    fault: 'client',
    title: 'The GraphQL document has a syntax error',
    retry: 'no',
    meaning: 'The document is not GraphQL; the location says where it stops being so.',
    action: 'Correct the document.',
    proxyStatus: 'http_request_error',
  },
  GRAPHQL_VALIDATION_FAILED: {
    status: 400,
    fault: 'client',
    title: 'The GraphQL document does not fit the schema',
    retry: 'no',
    meaning: 'A field, argument, variable or fragment of the document does not exist in the schema or is used wrongly.',
    action: 'Correct the document; `weir schema` prints the schema.',
    proxyStatus: 'http_request_error',
  },
  DOCUMENT_LIMIT_EXCEEDED: {
    status: 400,
    fault: 'client',
    title: 'The GraphQL document is beyond a limit',
    retry: 'no',
    meaning: 'The document has more tokens, depth, aliases, root fields or directives than the gateway runs.',
    action: 'Split the operation. An operator finds the limits under `graphql` in the configuration.',
    proxyStatus: 'http_request_denied',
  },
  COST_LIMIT_EXCEEDED: {
    status: 400,
    fault: 'client',
    title: 'The operation costs too much',
    retry: 'no',
    meaning:
      'By its estimate the operation costs more upstream calls than one operation may, of all upstreams or of one. The ' +
      'message names the fields that make the price. Nothing was run; a field that was left out alone has the code at its path.',
    action:
      'Ask for smaller pages or fewer fields. `x-weir-explain: plan` shows the price of each; an operator finds the limits ' +
      'under `graphql.maxCost` and `graphql.maxCostPerUpstream`.',
    proxyStatus: 'http_request_denied',
  },
  COST_EXCEEDS_QUOTA: {
    status: 400,
    fault: 'client',
    title: 'The operation costs more than any quota holds',
    retry: 'no',
    meaning: 'What the operation may cost, in upstream calls, is more than a limit of the consumer ever holds.',
    action: 'Ask for less at a time: shorter lists, fewer nested ones. Waiting does not help.',
    proxyStatus: 'http_request_denied',
  },
  BAD_USER_INPUT: {
    status: 400,
    fault: 'client',
    title: 'An argument has a value that is not taken',
    retry: 'no',
    meaning: 'The operation is valid, but the value of an argument or variable is not.',
    action: 'Correct the value; the message and the path say which.',
    proxyStatus: 'http_request_error',
  },
  PERSISTED_QUERY_NOT_FOUND: {
    status: 404,
    fault: 'client',
    title: 'The document is not known by this id',
    retry: 'no',
    meaning:
      'The operation is named by an id (`documentId`, or a hash) and sent without its text, and no text is known for it.',
    action: 'Send the text together with its SHA-256, as clients of automatic persisted queries do by themselves.',
    proxyStatus: 'http_request_denied',
  },
  PERSISTED_QUERY_NOT_SUPPORTED: {
    status: 400,
    fault: 'client',
    title: 'Documents cannot be registered here',
    retry: 'no',
    meaning: 'The operation is named by the hash of its text, and automatic persisted queries are turned off.',
    action: 'Send the text of the document, without a hash.',
    proxyStatus: 'http_request_denied',
  },
  PERSISTED_QUERY_MISMATCH: {
    status: 400,
    fault: 'client',
    title: 'The document is not the one of this id',
    retry: 'no',
    meaning: 'The request has both an id and a text, and they do not belong together.',
    action: 'Make the hash of the very text that is sent: SHA-256 of its UTF-8, in lower-case hexadecimal.',
    proxyStatus: 'http_request_error',
  },
  DOCUMENT_NOT_TRUSTED: {
    status: 403,
    fault: 'client',
    title: 'The document is not one of those that are run here',
    retry: 'no',
    meaning: 'The gateway runs only the documents that its operator has listed, and this is none of them.',
    action: 'Send a document that was listed when the client was built, by its id; have new ones listed first.',
    proxyStatus: 'http_request_denied',
  },
  INTERNAL: {
    status: 500,
    fault: 'gateway',
    title: 'The gateway failed',
    retry: 'later',
    meaning: 'A defect in the gateway or in a module. Its log has the cause under the request id.',
    action: 'Report the `requestId` to whoever runs the gateway.',
    proxyStatus: 'proxy_internal_error',
  },
  OVERLOADED: {
    status: 503,
    fault: 'gateway',
    title: 'The gateway has too much to do',
    retry: 'later',
    meaning:
      'More comes in than the gateway can do (`listen.maxInFlight`, `listen.maxEventLoopLag`), and what is less critical ' +
      'is refused first.',
    action: 'Wait for the time in `Retry-After`, then send the request again.',
    proxyStatus: 'http_request_denied',
  },
  BROWNOUT: {
    status: 503,
    fault: 'client',
    title: 'It is off for a while, since it will be gone',
    retry: 'later',
    meaning:
      'The route is deprecated, and fails at announced times, so that those who still call it notice before it is gone.',
    action: 'Wait for the time in `Retry-After`; then use the `successor` before the day in `Sunset`.',
    proxyStatus: 'http_request_denied',
  },
  LIMITS_UNAVAILABLE: {
    status: 503,
    fault: 'gateway',
    title: 'The quota cannot be checked now',
    retry: 'later',
    meaning: 'Redis, where the quota is counted, does not answer, and `limits.onStoreFailure` is `closed`.',
    action: 'Wait for the time in `Retry-After`, then send the request again.',
    proxyStatus: 'http_request_denied',
  },
  AUTH_UNAVAILABLE: {
    status: 503,
    fault: 'upstream',
    title: 'The credential cannot be checked now',
    retry: 'later',
    meaning: 'The identity provider that could say whether the credential is right does not answer.',
    action: 'Wait for the time in `Retry-After`, then send the request again.',
    proxyStatus: 'destination_unavailable',
  },
  SHUTTING_DOWN: {
    status: 503,
    fault: 'gateway',
    title: 'The gateway is shutting down',
    retry: 'yes',
    meaning: 'This instance finishes what is in flight and takes nothing new.',
    action: 'Send the request again; another instance will take it.',
    proxyStatus: 'proxy_internal_response',
  },
  DEADLINE_EXCEEDED: {
    status: 504,
    fault: 'upstream',
    title: 'The time for the answer is over',
    retry: 'later',
    meaning:
      'The deadline of the request passed while an upstream was being asked. The deadline is the least of the ' +
      "client's `x-weir-deadline-ms`, the route's timeout and the upstream's.",
    action: 'Allow more time if you set the deadline yourself; otherwise wait and send the request again.',
    proxyStatus: 'http_response_timeout',
  },
  UPSTREAM_UNREACHABLE: {
    status: 502,
    fault: 'upstream',
    title: 'The upstream cannot be reached',
    retry: 'later',
    meaning: 'No connection to the upstream could be made, it was lost before an answer came, or no address is known.',
    action: 'Wait and send the request again. The team behind the upstream is named in its module.',
    proxyStatus: 'destination_unavailable',
  },
  UPSTREAM_BAD_RESPONSE: {
    status: 502,
    fault: 'upstream',
    title: 'The upstream gave a broken answer',
    retry: 'later',
    meaning: 'The upstream answered with something that is not HTTP, is not the JSON it claims to be, or broke off.',
    action: 'Wait and send the request again. The log has the position of what could not be read.',
    proxyStatus: 'http_protocol_error',
  },
  UPSTREAM_RESPONSE_TOO_LARGE: {
    status: 502,
    fault: 'upstream',
    title: 'The upstream answered with too much',
    retry: 'no',
    meaning: 'The answer is larger than the gateway buffers (`maxResponseBytes` of the upstream).',
    action: 'Ask for less at a time, with a smaller page.',
    proxyStatus: 'http_response_body_size',
  },
  UPSTREAM_ERROR: {
    status: 502,
    fault: 'upstream',
    title: 'The upstream refused or failed',
    retry: 'later',
    meaning:
      'The upstream answered a call of a GraphQL field with an error status, given as `upstreamStatus`. In the log also of a ' +
      'route whose fallback stood in for such an answer.',
    action: 'With a 4xx, correct the arguments; with a 5xx, wait and send the request again.',
    proxyStatus: 'http_response_incomplete',
  },
  TRANSFORM_FAILED: {
    status: 502,
    fault: 'upstream',
    title: 'The upstream speaks another version, and cannot be translated',
    retry: 'no',
    meaning:
      'The upstream speaks another version of its API than the one that was asked for, and the transform between the two ' +
      'failed on this request or on its answer.',
    action:
      'Report the `requestId` to whoever runs the gateway; the log names the transform, which the team of the upstream owns.',
    proxyStatus: 'proxy_internal_error',
  },
  UPSTREAM_TIMEOUT: {
    status: 504,
    fault: 'upstream',
    title: 'The upstream did not answer in time',
    retry: 'later',
    meaning: 'No attempt got an answer within `attemptTimeout`.',
    action: 'Wait and send the request again.',
    proxyStatus: 'http_response_timeout',
  },
  UPSTREAM_UNAVAILABLE: {
    status: 503,
    fault: 'upstream',
    title: 'The upstream is resting',
    retry: 'later',
    meaning:
      'The upstream failed repeatedly, or an operator gives it a rest, so its breaker is open: calls are refused at once ' +
      'until it recovers.',
    action: 'Wait for the time in `Retry-After`, then send the request again.',
    proxyStatus: 'destination_unavailable',
  },
  UPSTREAM_OVERLOADED: {
    status: 503,
    fault: 'upstream',
    title: 'The upstream has too much to do',
    retry: 'later',
    meaning: 'As many calls to the upstream are in flight as it may get (`maxInFlight`, `maxConnections`).',
    action: 'Wait for the time in `Retry-After`, then send the request again.',
    proxyStatus: 'connection_limit_reached',
  },
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof errorTable;

export const errorCodes = Object.keys(errorTable) as ErrorCode[];

export function errorRow(code: ErrorCode): ErrorRow {
  return errorTable[code];
}

export interface WeirErrorOptions {
  /** What a client may read about this occurrence. Never an address, a stack or an upstream's bytes. */
  readonly detail?: string;
  /** The upstream concerned, by its configured name. */
  readonly upstream?: string;
  /** For the log only: what really happened. */
  readonly cause?: unknown;
  /** Seconds for `Retry-After`. */
  readonly retryAfterS?: number;
  /** Response headers that belong to the error, such as `Allow`. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Members for the problem document or the GraphQL `extensions`, safe for clients. */
  readonly extensions?: Readonly<Record<string, unknown>>;
}

/** An error with a row in the table. What is not a WeirError reaches clients as `INTERNAL` without its message. */
export class WeirError extends Error {
  override readonly name = 'WeirError';
  readonly code: ErrorCode;
  readonly upstream: string | undefined;
  readonly retryAfterS: number | undefined;
  readonly headers: Readonly<Record<string, string>> | undefined;
  readonly extensions: Readonly<Record<string, unknown>> | undefined;

  constructor(code: ErrorCode, options: WeirErrorOptions = {}) {
    super(options.detail ?? errorTable[code].title, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.upstream = options.upstream;
    this.retryAfterS = options.retryAfterS;
    this.headers = options.headers;
    this.extensions = options.extensions;
  }

  get status(): number {
    return errorTable[this.code].status;
  }

  get fault(): Fault {
    return errorTable[this.code].fault;
  }
}

/** Whatever was thrown, as a WeirError: an unknown one becomes `INTERNAL` with the original as its cause. */
export function toWeirError(thrown: unknown): WeirError {
  return thrown instanceof WeirError ? thrown : new WeirError('INTERNAL', { cause: thrown });
}
