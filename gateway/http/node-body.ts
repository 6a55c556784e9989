import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Cancellation } from '#core/cancellation.ts';
import type { IncomingBody } from '#core/context.ts';
import { WeirError } from '#core/errors.ts';
import { Pieces } from '#core/pieces.ts';
import { invite } from './expectation.ts';
import { Pace, type PaceSettings } from './pace.ts';
import { atTurnEnd } from './turn.ts';

/**
 * The request's body over node:http, which has already refused bad framing (RFC 9112 §6). Whether it is read here or passed on
 * as a stream, a client that sends it too slowly has its request cancelled.
 */
export class NodeBody implements IncomingBody {
  readonly length: number | undefined;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #pace: PaceSettings;
  readonly #cancellation: Cancellation;
  #read = false;

  constructor(request: IncomingMessage, response: ServerResponse, pace: PaceSettings, cancellation: Cancellation) {
    this.#request = request;
    this.#response = response;
    this.#pace = pace;
    this.#cancellation = cancellation;
    const { headers } = request;
    if (headers['transfer-encoding'] !== undefined) this.length = undefined;
    else this.length = headers['content-length'] === undefined ? 0 : Number(headers['content-length']);
    // That is when somebody begins to read.
    if (this.length !== 0) request.once('resume', () => this.#watchStream());
  }

  read(maxBytes: number): Promise<Buffer> {
    this.#read = true;
    invite(this.#request.headers, this.#response);
    return new Promise((resolve, reject) => {
      const look = () => {
        const whole = this.#whole(maxBytes);
        if (whole) resolve(whole);
        else this.#gather(maxBytes, resolve, reject);
      };
      if (this.#request.complete) look();
      else atTurnEnd(look);
    });
  }

  /** All of it, where all has come: without a timer, and without the events of a stream. */
  #whole(maxBytes: number): Buffer | undefined {
    const request = this.#request;
    if (!request.complete || request.readableLength > maxBytes || this.#cancellation.cancelled) return undefined;
    // Without a length it might be no more than the first piece.
    return (request.read(request.readableLength) as Buffer | null) ?? Buffer.alloc(0);
  }

  #gather(maxBytes: number, resolve: (whole: Buffer) => void, reject: (error: WeirError) => void): void {
    const request = this.#request;
    const pieces = new Pieces();
    const pace = new Pace(this.#pace, () => this.#tooSlow());
    const stop = (error: WeirError) => {
      pace.stop();
      request.off('data', onData);
      // What still comes is thrown away, so that the answer can be read before the connection closes.
      request.resume();
      reject(error);
    };
    const onData = (chunk: Buffer) => {
      if (pieces.length + chunk.length > maxBytes) {
        stop(new WeirError('BODY_TOO_LARGE', { detail: `The body may have at most ${maxBytes} bytes.` }));
      } else {
        pieces.push(chunk);
        pace.came(chunk.length);
      }
    };
    pace.start();
    request.on('data', onData);
    const link = this.#cancellation.on(stop);
    request.once('end', () => {
      pace.stop();
      this.#cancellation.off(link);
      resolve(pieces.join());
    });
    request.once('error', (cause) => stop(new WeirError('CLIENT_CLOSED_REQUEST', { cause })));
    request.once('close', () => {
      if (!request.complete) stop(new WeirError('CLIENT_CLOSED_REQUEST'));
    });
  }

  /** Somebody else reads: time counts only while the client could send, not while the upstream has yet to take what came. */
  #watchStream(): void {
    if (this.#read) return;
    const request = this.#request;
    const pace = new Pace(this.#pace, () => this.#tooSlow());
    const stop = () => pace.stop();
    pace.start();
    request.on('data', (chunk: Buffer) => pace.came(chunk.length));
    request.on('pause', stop);
    request.on('resume', () => {
      if (!request.readableEnded) pace.start();
    });
    request.once('end', stop);
    request.once('close', stop);
  }

  #tooSlow(): void {
    this.#cancellation.cancel(new WeirError('REQUEST_TIMEOUT', { headers: { connection: 'close' } }));
  }
}
