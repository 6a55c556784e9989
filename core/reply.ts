import type { Transform } from 'node:stream';
import type { Headers } from './headers.ts';

/** Makes other bytes of one answer's content (RFC 9110 §8.4). */
export interface ContentEncoder {
  /** Of a stream: its readers wait for each piece as it comes. */
  readonly flushEach: boolean;
  /** All of a small content at once. */
  whole(content: Uint8Array | string): Buffer;
  /** For content that comes in pieces. */
  open(): Transform & { flush(done?: () => void): void };
}

/** What decides by an answer's head how its content is coded. */
export type ContentCoding = (
  request: { readonly method?: string | undefined; readonly httpVersion: string; readonly headers: Headers },
  status: number,
  /** May be changed. */
  headers: Headers,
) => ContentEncoder | undefined;

/** The answer to the client as a port: policies set headers, doors write; node:http is behind it today. */
export interface Reply {
  /** Fields that every answer to this request carries, whoever makes it. A door's own field of the same name gives way. */
  readonly headers: Headers;
  /** Asked once the head is known. */
  coding?: ContentCoding | undefined;
  /** The head as it has gone out, where it is known: for who looks closer. */
  readonly sent?: Headers | undefined;
  /** The head has gone out: the status can no longer change. */
  readonly started: boolean;
  readonly finished: boolean;
  /** 0 until the head has gone out. */
  readonly status: number;
  readonly bytes: number;
  /** It lasts as long as either side likes: server-sent events. How long it took says nothing. */
  readonly endless: boolean;
  /** A 1xx answer (RFC 9110 §15.2) that is passed on; a 100 is the hop's own. */
  information(status: number, headers: Headers): void;
  head(status: number, headers: Headers): void;
  /** @returns false when the client reads slower than we write: stop until {@link onDrain} calls. */
  write(chunk: Uint8Array | string): boolean;
  onDrain(listener: () => void): void;
  end(chunk?: Uint8Array | string, trailers?: Headers): void;
  /** Breaks the answer off so that the client cannot take it for complete (RFC 9112 §8). */
  destroy(): void;
}
