/** An answer as a strict client reads it. */
export interface StrictAnswer {
  readonly status: number;
  /** Lower-case names; several lines of one name are joined. */
  readonly headers: Readonly<Record<string, string>>;
  /** As characters of one byte each. */
  readonly body: string;
}

const statusLine = /^HTTP\/1\.1 ([1-5]\d\d) [\t\x20-\x7e]*$/;
const fieldLine = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?([\t\x20-\x7e\x80-\xff]*)$/;

/**
 * Reads the final answers of a connection; 1xx ones are left out (RFC 9110 §15.2).
 * @param heads whether an answer of this index is to a HEAD and so has no body
 * @throws {Error} when what came is not a sequence of whole answers
 */
export function readAnswers(text: string, heads: (index: number) => boolean = () => false): StrictAnswer[] {
  const answers: StrictAnswer[] = [];
  for (let at = 0; at < text.length;) {
    const end = text.indexOf('\r\n\r\n', at);
    if (end < 0) throw new Error(`a head without an end: ${JSON.stringify(text.slice(at, at + 200))}`);
    const [first = '', ...lines] = text.slice(at, end).split('\r\n');
    const matched = statusLine.exec(first);
    if (!matched) throw new Error(`status line ${JSON.stringify(first)}`);
    const status = Number(matched[1]);
    const headers: Record<string, string> = {};
    for (const line of lines) {
      const field = fieldLine.exec(line);
      if (!field) throw new Error(`field line ${JSON.stringify(line)}`);
      const name = field[1]!.toLowerCase();
      headers[name] = headers[name] === undefined ? field[2]! : `${headers[name]}, ${field[2]!}`;
    }
    at = end + 4;
    if (status < 200) continue;
    const bare = status === 204 || status === 304 || heads(answers.length);
    const body = bare ? { text: '', end: at } : bodyAt(text, at, headers);
    answers.push({ status, headers, body: body.text });
    at = body.end;
  }
  return answers;
}

function bodyAt(text: string, start: number, headers: StrictAnswer['headers']): { text: string; end: number } {
  if (headers['transfer-encoding'] !== undefined) {
    let body = '';
    for (let at = start; ;) {
      const line = text.indexOf('\r\n', at);
      const bytes = Number.parseInt(text.slice(at, line), 16);
      const end = line + 2 + bytes + 2;
      if (line < 0 || Number.isNaN(bytes) || text.length < end) throw new Error('chunks that break off');
      if (bytes === 0) return { text: body, end };
      body += text.slice(line + 2, end - 2);
      at = end;
    }
  }
  const length = headers['content-length'];
  // Without a length an answer ends with its connection.
  if (length === undefined) return { text: text.slice(start), end: text.length };
  const end = start + Number(length);
  if (text.length < end) throw new Error(`a body of ${text.length - start} bytes instead of ${length}`);
  return { text: text.slice(start, end), end };
}
