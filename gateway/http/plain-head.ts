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
  'trailer',
  'transfer-encoding',
]);

/** Names that upstreams choose; more are looked at each time anew. */
const maxNames = 1_000;

/** RFC 9110 §5.6.2, in lower case. */
const token = /^[!#$%&'*+.^_`|~\da-z-]+$/;

/** A field that needs nothing but to be written down. */
interface PlainField {
  /** How its line begins, with the end of the line before. */
  readonly beginning: string;
  /** Found good. Many fields have one value in all answers. */
  last: string;
}

const plain = new Map<string, PlainField>();

function plainField(name: string): PlainField | undefined {
  let field = plain.get(name);
  if (!field && !special.has(name) && token.test(name)) {
    field = { beginning: `\r\n${name}: `, last: '' };
    if (plain.size < maxNames) plain.set(name, field);
  }
  return field;
}

/** What a value may not have in it (RFC 9110 §5.5), line breaks before all. */
const forbidden = /[^\t\x20-\x7e\x80-\xff]/;

/** Longer values are not remembered. */
const maxLast = 256;

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
    const field = plainField(name);
    if (!field || typeof value !== 'string') return false;
    if (value !== field.last) {
      if (forbidden.test(value)) return false;
      if (value.length <= maxLast) field.last = value;
    }
    head += field.beginning + value;
  }
  if (fields.date === undefined) head += `\r\nDate: ${dateNow()}`;
  answer._contentLength = Number(length);
  answer._header = `${head}\r\n\r\n`;
  return true;
}
