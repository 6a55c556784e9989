import type { Socket } from 'node:net';
import { BrokenAnswer, maxInterim, readStatusLine, withoutBlankLines } from './status-line.ts';

/** What a connection had seen when it failed. */
export interface Trace {
  /** It has carried whole exchanges before, so that its end may have been on the way when the last request was. */
  readonly reused: boolean;
  /** Of the answer to the last request something has come. */
  readonly answered: boolean;
}

const traces = new WeakMap<Error, Trace>();

/** What is known of the connection that failed with this error; undefined where there was none. */
export function traceOf(error: Error): Trace | undefined {
  return traces.get(error);
}

/**
 * Stands between a connection and undici, which carries one held request at a time on it: so whatever is written begins a
 * request, and what is read next begins its answer. It is there for what undici does not tell, or does not bear.
 */
export function watch(socket: Socket): void {
  const wire = new Wire(socket);
  const read = socket.read.bind(socket);
  const write = socket.write.bind(socket) as (...data: unknown[]) => boolean;
  socket.write = (...data: unknown[]) => {
    wire.begin();
    return write(...data);
  };
  socket.read = (size?: number) => {
    for (;;) {
      const chunk = read(size) as Buffer | null;
      // Nothing left of a chunk does not mean that there is no other.
      const left = chunk && wire.look(chunk);
      if (left === null || left.length > 0) return left;
    }
  };
  socket.prependListener('error', (error: NodeJS.ErrnoException) => wire.fail(error));
}

/** Longest 1xx answer; the parser bounds those that it gets to see by the same. */
const maxHeadBytes = 16 * 1024;

const nothing = Buffer.alloc(0);

class Wire {
  readonly #socket: Socket;
  #requests = 0;
  /** The head of the answer is still to come; before it there may be any number of others (RFC 9110 §15.2). */
  #awaiting = false;
  #answered = false;
  #interim = 0;
  /** What has come of a head that is not whole. */
  #held: Buffer = nothing;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  begin(): void {
    if (this.#awaiting) return;
    this.#requests++;
    this.#awaiting = true;
    this.#answered = false;
    this.#interim = 0;
  }

  /** @returns what the parser is to see of it; null when that is nothing, and nothing more will come */
  look(chunk: Buffer): Buffer | null {
    if (!this.#awaiting) return chunk;
    this.#answered = true;
    let bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    this.#held = nothing;
    const seen: Buffer[] = [];
    for (;;) {
      bytes = withoutBlankLines(bytes);
      const line = readStatusLine(bytes);
      if (line === 'none') return this.#refuse('is not HTTP/1.1 or HTTP/1.0');
      if (line === 'incomplete') {
        this.#held = bytes;
        break;
      }
      const isFinal = !isInterim(line.status);
      if (isFinal && line.minor === 1) {
        this.#awaiting = false;
        // The usual: a chunk that begins with it.
        return seen.length === 0 ? bytes : Buffer.concat([...seen, bytes]);
      }
      const end = bytes.indexOf('\r\n\r\n') + 4;
      if (end < 4) {
        if (bytes.length > maxHeadBytes) return this.#refuse('has an endless head');
        this.#held = bytes;
        break;
      }
      const head = bytes.subarray(0, end);
      if (isFinal) {
        // RFC 9112 §6.1: HTTP/1.0 has no codings of transfer, so whoever writes one there has its framing wrong.
        if (/\r\ntransfer-encoding:/i.test(head.toString('latin1')))
          return this.#refuse('has a framing it does not know');
        this.#awaiting = false;
        seen.push(bytes);
        break;
      }
      if (++this.#interim > maxInterim) return this.#refuse('never comes to an end of 1xx');
      // undici takes a 100 that it did not ask for as an error; RFC 9110 §15.2 has a client bear any of them.
      if (line.status !== 100) seen.push(head);
      bytes = bytes.subarray(end);
    }
    return Buffer.concat(seen);
  }

  #refuse(what: string): null {
    this.#socket.destroy(new BrokenAnswer(`The answer ${what}.`));
    return null;
  }

  fail(error: NodeJS.ErrnoException): void {
    traces.set(error, { reused: this.#requests > 1, answered: this.#answered });
    // undici takes a reset for the orderly end of a body that has no length. A body that ends with its connection is
    // complete only if that was closed in order (RFC 9112 §8), so the error goes by another name before undici looks at it.
    if (error.code === 'ECONNRESET') error.code = 'WEIR_RESET';
  }
}

/** RFC 9110 §15.2: followed by another. A 101 (§15.2.2) is not, as far as HTTP goes. */
function isInterim(status: number): boolean {
  return status >= 100 && status < 200 && status !== 101;
}
