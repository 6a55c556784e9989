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
