/** One event of a stream of server-sent events. */
export interface ServerSentEvent {
  /** Its name; `message` where the stream gives none. */
  readonly event: string;
  readonly data: string;
  /** The last id that the stream has given, empty before the first. */
  readonly id: string;
}

/** Reads an event stream as WHATWG HTML §9.2.6 says. `retry` is left out: reconnecting is the reader's business. */
export class EventStreamReader {
  readonly #decoder = new TextDecoder();
  #line = '';
  /** The chunk before ended in CR, so that an LF at the start of the next one belongs to it. */
  #afterCr = false;
  #event = '';
  #data: string[] = [];
  #id = '';
  #characters = 0;

  /** Characters of the event that is still coming in. */
  get pending(): number {
    return this.#characters + this.#line.length;
  }

  /** The events that the chunk completes. */
  read(chunk: Uint8Array): ServerSentEvent[] {
    const events: ServerSentEvent[] = [];
    let text = this.#decoder.decode(chunk, { stream: true });
    if (text === '') return events;
    if (this.#afterCr && text.startsWith('\n')) text = text.slice(1);
    this.#afterCr = text.endsWith('\r');
    const lines = text.split(/\r\n|\n|\r/);
    const last = lines.pop()!;
    for (const line of lines) {
      this.#field(this.#line + line, events);
      this.#line = '';
    }
    this.#line += last;
    return events;
  }

  #field(line: string, events: ServerSentEvent[]): void {
    if (line === '') return this.#dispatch(events);
    const colon = line.indexOf(':');
    if (colon === 0) return;
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
    if (name === 'data') {
      this.#data.push(value);
      // With the line break that joins it to the next: there may be very many that are empty.
      this.#characters += value.length + 1;
    } else if (name === 'event') {
      this.#event = value;
    } else if (name === 'id' && !value.includes('\0')) {
      this.#id = value;
    }
  }

  #dispatch(events: ServerSentEvent[]): void {
    // An event without data is none; its name is forgotten.
    if (this.#data.length > 0) {
      events.push({ event: this.#event || 'message', data: this.#data.join('\n'), id: this.#id });
    }
    this.#event = '';
    this.#data = [];
    this.#characters = 0;
  }
}
