/** What a log may not hold, taken out at the last moment: whoever logs should not have put it in. */

const redacted = '[redacted]';

/** Lower case, without `-` and `_`. */
const secretFields: ReadonlySet<string> = new Set([
  'accesstoken',
  'apikey',
  'authorization',
  'clientsecret',
  'cookie',
  'credentials',
  'idtoken',
  'passphrase',
  'passwd',
  'password',
  'privatekey',
  'proxyauthorization',
  'refreshtoken',
  'secret',
  'setcookie',
  'token',
  'xapikey',
]);

const maxDepth = 5;
const maxItems = 100;
const maxText = 8192;

/** A copy of `fields` for the log: secrets hidden, errors spelt out, bytes left out, depth and length bounded. */
export function redactFields(fields: object): Record<string, unknown> {
  return copyObject(fields, 0);
}

function copyObject(value: object, depth: number): Record<string, unknown> {
  const copy: Record<string, unknown> = {};
  for (const [key, item] of Object.entries(value).slice(0, maxItems)) {
    const secret = secretFields.has(key.toLowerCase().replaceAll('-', '').replaceAll('_', ''));
    copy[key] = secret && item !== undefined ? redacted : copyValue(item, depth + 1);
  }
  return copy;
}

function copyValue(value: unknown, depth: number): unknown {
  switch (typeof value) {
    case 'string':
      return bounded(value, maxText);
    case 'bigint':
      return value.toString();
    case 'function':
    case 'symbol':
      return undefined;
    case 'object':
      return value === null ? null : copyReference(value, depth);
    default:
      return value;
  }
}

function copyReference(value: object, depth: number): unknown {
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (value instanceof URL) return value.origin + value.pathname;
  if (depth > maxDepth) return '[nested]';
  if (value instanceof Error) return copyError(value, depth);
  if (Array.isArray(value)) return value.slice(0, maxItems).map((item) => copyValue(item, depth + 1));
  return copyObject(value, depth);
}

function copyError(error: Error, depth: number): Record<string, unknown> {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  return {
    type: error.name,
    message: bounded(error.message, maxText),
    ...(code !== undefined && { code }),
    ...(error.stack !== undefined && { stack: bounded(error.stack, maxText) }),
    ...(error.cause !== undefined && { cause: copyValue(error.cause, depth + 1) }),
    ...(error instanceof AggregateError && { errors: copyValue(error.errors, depth + 1) }),
  };
}

export function bounded(text: string, maxLength: number): string {
  return text.length <= maxLength ? text : `${text.slice(0, maxLength)}…`;
}

/** Words in the names of headers that carry credentials, in whatever dialect: `x-auth-token`, `apikey`, `x-amz-security-token`. */
const secretHeader = /auth|token|secret|passw|passphrase|credential|cookie|session|signature|jwt|assertion|apikey|key$/;

/** These carry none, whatever their names look like. */
const plainHeaders: ReadonlySet<string> = new Set(['www-authenticate', 'proxy-authenticate', 'idempotency-key']);

/** A value that is a credential under any name: of an HTTP scheme (RFC 9110 §11.4), or a JWT (RFC 7519 §3). */
const secretValue =
  /^\s*(?:basic|bearer|digest|dpop|hoba|mutual|negotiate|ntlm|scram-\S+|aws4-\S+)\s+\S|\beyJ[\w-]{8,}\./i;

/** Headers for the log: credentials hidden by name and by look, the queries of URLs as {@link redactQuery} shows them. */
export function redactHeaders(
  headers: Readonly<Record<string, string | string[] | undefined>>,
  secretNames: ReadonlySet<string> = new Set(),
): Record<string, string | string[]> {
  const shown: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(headers).slice(0, maxItems)) {
    if (value === undefined) continue;
    const lower = name.toLowerCase();
    const secret = secretNames.has(lower) || (secretHeader.test(lower) && !plainHeaders.has(lower));
    const show = (text: string): string => (secret ? redacted : redactHeaderValue(text));
    shown[bounded(name, 256)] = Array.isArray(value) ? value.slice(0, maxItems).map(show) : show(value);
  }
  return shown;
}

function redactHeaderValue(value: string): string {
  const text = bounded(value, 1024);
  if (secretValue.test(text)) return redacted;
  // `Location`, `Referer`, `Link` and whatever else holds URLs: their queries, each to its end.
  return text
    .replaceAll(/\?[^\s<>"#]+|(?<=#)[^\s<>"]+/g, (query) =>
      query.startsWith('?') ? `?${redactQuery(query.slice(1))}` : redactQuery(query),
    )
    .replaceAll(/(?<=:\/\/)[^\s/@]+@/g, `${redacted}@`);
}

/** A path with its query, as {@link redactQuery} shows that. */
export function redactTarget(target: string): string {
  const question = target.indexOf('?');
  return question < 0 ? target : `${target.slice(0, question)}?${redactQuery(target.slice(question + 1))}`;
}

/** Query parameters whose values are credentials; `variables` holds what a GraphQL GET would otherwise have as its body. */
const secretParameters: ReadonlySet<string> = new Set([
  'access_token',
  'api_key',
  'apikey',
  'client_secret',
  'code',
  'id_token',
  'key',
  'password',
  'refresh_token',
  'secret',
  'sig',
  'signature',
  'token',
  'variables',
]);

/** The query as it came, with the values of credentials hidden, however their names are spelt. */
export function redactQuery(query: string): string {
  let shown = '';
  let copied = 0;
  let to = -1;
  while (to < query.length) {
    const from = to + 1;
    const ampersand = query.indexOf('&', from);
    to = ampersand < 0 ? query.length : ampersand;
    const equals = query.indexOf('=', from);
    if (equals < 0) break;
    if (equals > to || !isSecretParameter(query.slice(from, equals))) continue;
    shown += query.slice(copied, equals + 1) + redacted;
    copied = to;
  }
  return copied === 0 ? query : shown + query.slice(copied);
}

function isSecretParameter(name: string): boolean {
  if (!name.includes('%')) return secretParameters.has(name.toLowerCase());
  try {
    return secretParameters.has(decodeURIComponent(name).toLowerCase());
  } catch {
    // Not to be read by us, but perhaps by a laxer reader behind us.
    return true;
  }
}
