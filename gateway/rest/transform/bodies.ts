import type { RequestContext } from '#core/context.ts';
import { WeirError } from '#core/errors.ts';
import { firstValue, ofBytes, type Headers } from '#core/headers.ts';
import { Pieces } from '#core/pieces.ts';
import { Relay, type CallHandle, type ResponseSink } from '#upstreams/call.ts';
import type { Upstream } from '#upstreams/upstream.ts';
import type { FieldTransform } from './fields.ts';

/** RFC 8259 §11 and RFC 6839 §3.1. */
const jsonType = /^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i;

function isJson(headers: Headers): boolean {
  return jsonType.test(firstValue(headers['content-type']) ?? '');
}

/**
 * A request's body with its fields changed. What is no JSON goes on as it is.
 * @throws {WeirError} `UNSUPPORTED_MEDIA_TYPE` for one that is compressed, `BAD_REQUEST` for JSON that is none
 */
export function transformRequest(fields: FieldTransform, context: RequestContext): Buffer | undefined {
  const { body, headers } = context;
  if (!body || !isJson(headers)) return body;
  if (headers['content-encoding'] !== undefined)
    throw new WeirError('UNSUPPORTED_MEDIA_TYPE', { detail: 'A compressed body is not taken here.' });
  try {
    return fields.apply(body, context);
  } catch (cause) {
    throw new WeirError('BAD_REQUEST', { detail: 'The body is not JSON.', cause });
  }
}

/**
 * Changes the fields of a successful JSON answer, for which it holds it whole; any other goes on as it comes. An answer that
 * cannot be changed does not go out: what is to be taken out of it may be there for a reason.
 */
export class TransformedAnswer extends Relay {
  readonly #fields: FieldTransform;
  readonly #context: RequestContext;
  readonly #upstream: Upstream;
  #handle: CallHandle | undefined;
  #status = 0;
  #headers: Headers = {};
  #held: Pieces | undefined;
  #failure: WeirError | undefined;

  constructor(fields: FieldTransform, context: RequestContext, upstream: Upstream, sink: ResponseSink) {
    super(sink);
    this.#fields = fields;
    this.#context = context;
    this.#upstream = upstream;
  }

  follow(handle: CallHandle): CallHandle {
    this.#handle = handle;
    // It may have failed while it was being sent.
    if (this.#failure) handle.abort(this.#failure);
    return handle;
  }

  override onHead(status: number, headers: Headers): void {
    if (status < 200 || status > 299 || !isJson(headers)) {
      this.sink.onHead(status, status === 304 ? changed(headers) : headers);
      return;
    }
    if (headers['content-encoding'] !== undefined || status === 206) {
      this.#fail(this.#unreadable(new Error('a part of an answer, or a compressed one, cannot be changed')));
      return;
    }
    this.#status = status;
    this.#headers = changed(headers);
    if (status === 204 || this.#context.method === 'HEAD') this.sink.onHead(status, this.#headers);
    else if (Number(headers['content-length']) > this.#upstream.settings.maxResponseBytes) this.#fail(this.#tooLarge());
    else this.#held = new Pieces();
  }

  override onData(chunk: Buffer): void {
    if (this.#failure) return;
    if (!this.#held) {
      this.sink.onData(chunk);
      return;
    }
    if (this.#held.length + chunk.length > this.#upstream.settings.maxResponseBytes) this.#fail(this.#tooLarge());
    else this.#held.push(chunk);
  }

  override onEnd(trailers: Headers | undefined): void {
    if (this.#failure) return;
    if (!this.#held) {
      this.sink.onEnd(trailers);
      return;
    }
    let body: Buffer;
    try {
      body = this.#fields.apply(this.#held.join(), this.#context);
    } catch (cause) {
      this.#fail(this.#unreadable(cause));
      return;
    }
    this.sink.onHead(this.#status, { ...this.#headers, 'content-length': String(body.length) });
    this.sink.onData(body);
    this.sink.onEnd(undefined);
  }

  override onError(error: WeirError): void {
    if (!this.#failure) this.sink.onError(error);
  }

  #fail(failure: WeirError): void {
    this.#failure = failure;
    this.#held = undefined;
    this.sink.onError(failure);
    this.#handle?.abort(failure);
  }

  #unreadable(cause: unknown): WeirError {
    return new WeirError('UPSTREAM_BAD_RESPONSE', { upstream: this.#upstream.name, cause });
  }

  #tooLarge(): WeirError {
    const { name, settings } = this.#upstream;
    return new WeirError('UPSTREAM_RESPONSE_TOO_LARGE', {
      upstream: name,
      cause: new Error(`the answer of '${name}' is larger than maxResponseBytes, ${settings.maxResponseBytes}`),
    });
  }
}

/** Without what spoke of the bytes as they were; validators are strong no more (RFC 9110 §8.8.1). */
function changed(received: Headers): Headers {
  const headers: Headers = {};
  for (const name in received) if (!ofBytes.has(name)) headers[name] = received[name];
  const etag = firstValue(received.etag);
  if (etag?.startsWith('"')) headers.etag = `W/${etag}`;
  return headers;
}
