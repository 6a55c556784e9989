import type { IncomingMessage, ServerResponse } from 'node:http';
import type { IncomingBody } from '#core/context.ts';
import { WeirError } from '#core/errors.ts';
import { invite } from './expectation.ts';

/** The request's body over node:http, which has already refused bad framing (RFC 9112 §6). */
export class NodeBody implements IncomingBody {
  readonly length: number | undefined;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #timeoutMs: number;

  constructor(request: IncomingMessage, response: ServerResponse, timeoutMs: number) {
    this.#request = request;
    this.#response = response;
    this.#timeoutMs = timeoutMs;
    const { headers } = request;
    if (headers['transfer-encoding'] !== undefined) this.length = undefined;
    else this.length = headers['content-length'] === undefined ? 0 : Number(headers['content-length']);
  }

  read(maxBytes: number): Promise<Buffer> {
    const request = this.#request;
    invite(request.headers, this.#response);
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      const timer = setTimeout(() => {
        stop(new WeirError('REQUEST_TIMEOUT', { headers: { connection: 'close' } }));
      }, this.#timeoutMs);
      const stop = (error: WeirError) => {
        clearTimeout(timer);
        request.off('data', onData);
        // What still comes is thrown away, so that the answer can be read before the connection closes.
        request.resume();
        reject(error);
      };
      const onData = (chunk: Buffer) => {
        timer.refresh();
        bytes += chunk.length;
        if (bytes > maxBytes) {
          stop(new WeirError('BODY_TOO_LARGE', { detail: `The body may have at most ${maxBytes} bytes.` }));
        } else {
          chunks.push(chunk);
        }
      };
      request.on('data', onData);
      request.once('end', () => {
        clearTimeout(timer);
        resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, bytes));
      });
      request.once('error', (cause) => stop(new WeirError('CLIENT_CLOSED_REQUEST', { cause })));
      request.once('close', () => {
        if (!request.complete) stop(new WeirError('CLIENT_CLOSED_REQUEST'));
      });
    });
  }
}
