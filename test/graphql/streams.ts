/** One event of a stream (WHATWG HTML §9.2). */
export interface ServerSentEvent {
  readonly event: string;
  readonly data: string;
}

/** The events of an answer as they come; comments are left out. */
export async function* readEvents(response: Response): AsyncGenerator<ServerSentEvent, void, void> {
  for await (const block of splitBy(response, '\n\n')) {
    const fields = block.split('\n').filter((line) => line !== '' && !line.startsWith(':'));
    if (fields.length === 0) continue;
    const valueOf = (name: string) =>
      fields
        .flatMap((line) => (line.startsWith(`${name}:`) ? [line.slice(name.length + 1).trimStart()] : []))
        .join('\n');
    yield { event: valueOf('event'), data: valueOf('data') };
  }
}

/** The JSON of each part of a `multipart/mixed` answer as it comes (RFC 2046 §5.1). */
export async function* readParts(response: Response): AsyncGenerator<Record<string, unknown>, void, void> {
  const boundary = /boundary="?([^";]+)"?/.exec(response.headers.get('content-type') ?? '')?.[1];
  if (boundary === undefined) throw new Error('The answer names no boundary.');
  let last = '';
  for await (const part of splitBy(response, `\r\n--${boundary}`)) {
    last = part;
    const body = part.slice(part.indexOf('\r\n\r\n') + 4);
    if (part.includes('\r\n\r\n')) yield JSON.parse(body) as Record<string, unknown>;
  }
  if (last !== '--\r\n') throw new Error('The answer breaks off before its last boundary.');
}

async function* splitBy(response: Response, separator: string): AsyncGenerator<string, void, void> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of response.body!) {
    text += decoder.decode(chunk, { stream: true });
    const pieces = text.split(separator);
    text = pieces.pop()!;
    yield* pieces;
  }
  if (text !== '') yield text;
}
