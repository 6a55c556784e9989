/**
 * What Node keeps of an answer in places that it does not document, in the version that this project is built and tested with
 * (docs/adr/0014).
 */
export interface AnswerOfNode {
  _header: string | null;
  _contentLength: number | null;
  _keepAliveTimeout: number;
  readonly _defaultKeepAlive: boolean;
  readonly _removedConnection: boolean;
  readonly _maxRequestsPerSocket: number;
  readonly maxRequestsOnConnectionReached: boolean;
  readonly sendDate: boolean;
  readonly shouldKeepAlive: boolean;
}

/** Fields that say how the answer is framed, or that Node makes something of. */
const special: ReadonlySet<string> = new Set([
  'connection',
  'content-disposition',
  'expect',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Names that upstreams choose; more are looked at each time anew. */
const maxNames = 1_000;

/** RFC 9110 §5.6.2, in lower case. */
const token = /^[!#$%&'*+.^_`|~\da-z-]+$/;

/** How lines begin of fields that need nothing but to be written down, with the end of the line before. */
const beginnings = new Map<string, string>();

function beginningOf(name: string): string | undefined {
  let beginning = beginnings.get(name);
  if (beginning === undefined && !special.has(name) && token.test(name)) {
    beginning = `\r\n${name}: `;
    if (beginnings.size < maxNames) beginnings.set(name, beginning);
  }
  return beginning;
}

/** What a value may not have in it (RFC 9110 §5.5), line breaks before all. */
const forbidden = /[^\t\x20-\x7e\x80-\xff]/;

/** The date of answers that come without one, made once a second. */
let second = 0;
let date = '';

function dateNow(): string {
  const now = Math.floor(Date.now() / 1_000);
  if (now !== second) {
    second = now;
    date = new Date(now * 1_000).toUTCString();
  }
  return date;
}

/**
 * Writes the head of an answer as Node would, for the common kind: plain fields, a known length, a connection that is kept.
 * It takes half the time.
 * @param headers by names in lower case
 * @returns false where Node has to, with nothing done
 */
export function writePlainHead(answer: AnswerOfNode, firstLine: string, headers: object): boolean {
  if (!answer.shouldKeepAlive || !answer.sendDate || answer.maxRequestsOnConnectionReached) return false;
  if (answer._removedConnection || !answer._defaultKeepAlive || answer._keepAliveTimeout === 0) return false;
  if (answer._maxRequestsPerSocket > 0) return false;
  const fields = headers as Readonly<Record<string, unknown>>;
  const { 'content-length': length } = fields;
  if (typeof length !== 'string') return false;
  let head = `${firstLine}Connection: keep-alive\r\nKeep-Alive: timeout=${Math.floor(answer._keepAliveTimeout / 1_000)}`;
  for (const name in fields) {
    const value = fields[name];
    const beginning = beginningOf(name);
    if (beginning === undefined || typeof value !== 'string' || forbidden.test(value)) return false;
    head += beginning + value;
  }
  if (fields.date === undefined) head += `\r\nDate: ${dateNow()}`;
  answer._contentLength = Number(length);
  answer._header = `${head}\r\n\r\n`;
  return true;
}
