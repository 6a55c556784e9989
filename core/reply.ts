import type { Headers } from './headers.ts';

/** The answer to the client as a port: policies set headers, doors write; node:http is behind it today. */
export interface Reply {
  /** Fields that every answer to this request carries, whoever makes it. A door's own field of the same name gives way. */
  readonly headers: Headers;
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
  /** A 1xx answer (RFC 9110 §15.2); 103 is passed on, others are the hop's own. */
  information(status: number, headers: Headers): void;
  head(status: number, headers: Headers): void;
  /** @returns false when the client reads slower than we write: stop until {@link onDrain} calls. */
  write(chunk: Uint8Array | string): boolean;
  onDrain(listener: () => void): void;
  end(chunk?: Uint8Array | string, trailers?: Headers): void;
  /** Breaks the answer off so that the client cannot take it for complete (RFC 9112 §8). */
  destroy(): void;
}
