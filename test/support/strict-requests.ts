/** A request as it came over the wire, in no reading but the one that RFC 9112 has. */
export interface StrictRequest {
  readonly method: string;
  readonly target: string;
  /** Names in lower case, in the order they came. */
  readonly fields: readonly (readonly [string, string])[];
  /** As characters of one byte each. */
  readonly body: string;
}

const requestLine = /^([A-Z][A-Z-]*) (\/[\x21\x22\x24-\x7e]*) HTTP\/1\.1$/;
const fieldLine = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?([\t\x20-\x7e\x80-\xff]*)$/;
const chunkLine = /^[0-9a-fA-F]{1,8}$/;

/**
 * Reads requests from bytes and forgives nothing: not what servers usually let pass, nor what the RFCs leave to them. What it
 * takes, every service reads in the same way.
 */
export class StrictParser {
  #rest = '';

  /** There is a beginning of a request that has no end yet. */
  get begun(): boolean {
    return this.#rest !== '';
  }

  /** @throws {Error} with what no strict reader would take */
  read(bytes: string): StrictRequest[] {
    this.#rest += bytes;
    const requests: StrictRequest[] = [];
    for (let next = this.#next(); next; next = this.#next()) {
      requests.push(next.request);
      this.#rest = this.#rest.slice(next.end);
    }
    return requests;
  }

  #next(): { readonly request: StrictRequest; readonly end: number } | undefined {
    const text = this.#rest;
    const end = text.indexOf('\r\n\r\n');
    if (end < 0) {
      const line = text.slice(0, text.indexOf('\r\n'));
      if (text.includes('\r\n') && !requestLine.test(line)) throw new Error(`request line ${JSON.stringify(line)}`);
      return undefined;
    }
    const [first = '', ...lines] = text.slice(0, end).split('\r\n');
    const matched = requestLine.exec(first);
    if (!matched) throw new Error(`request line ${JSON.stringify(first)}`);
    const fields = lines.map((line) => {
      const field = fieldLine.exec(line);
      if (!field) throw new Error(`field line ${JSON.stringify(line)}`);
      return [field[1]!.toLowerCase(), field[2]!.trim()] as const;
    });
    const body = bodyOf(fields, text, end + 4);
    if (!body) return undefined;
    return { request: { method: matched[1]!, target: matched[2]!, fields, body: body.text }, end: body.end };
  }
}

function bodyOf(fields: StrictRequest['fields'], text: string, start: number) {
  const codings = fields.filter(([name]) => name === 'transfer-encoding').map(([, value]) => value);
  const lengths = fields.filter(([name]) => name === 'content-length').map(([, value]) => value);
  if (codings.length + lengths.length > 1) throw new Error(`framed twice: ${[...codings, ...lengths].join(' and ')}`);
  const [coding] = codings;
  if (coding !== undefined) {
    if (coding !== 'chunked') throw new Error(`coding ${coding}`);
    return chunksOf(text, start);
  }
  const [length = '0'] = lengths;
  if (!/^(0|[1-9]\d{0,15})$/.test(length)) throw new Error(`length ${length}`);
  const end = start + Number(length);
  return text.length < end ? undefined : { text: text.slice(start, end), end };
}

function chunksOf(text: string, start: number) {
  let body = '';
  for (let at = start; ;) {
    const line = text.indexOf('\r\n', at);
    if (line < 0) return undefined;
    const size = text.slice(at, line);
    if (!chunkLine.test(size)) throw new Error(`chunk ${JSON.stringify(size)}`);
    const bytes = Number.parseInt(size, 16);
    const end = line + 2 + bytes + 2;
    if (text.length < end) return undefined;
    if (text.slice(end - 2, end) !== '\r\n') throw new Error('a chunk that does not end where it says');
    body += text.slice(line + 2, end - 2);
    // A trailer section would be refused as a chunk's size.
    if (bytes === 0) return { text: body, end };
    at = end;
  }
}

/** All values of a field, in the order they came. */
export function valuesOf({ fields }: StrictRequest, name: string): string[] {
  return fields.filter(([field]) => field === name).map(([, value]) => value);
}
