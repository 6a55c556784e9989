import { WeirError } from '#core/errors.ts';
import { firstValue, type Headers } from '#core/headers.ts';
import { Pieces } from '#core/pieces.ts';
import type { CallHandle, ResponseSink, UpstreamCall } from '#upstreams/call.ts';
import { cancelled } from '#upstreams/cancelled.ts';
import type { Upstream } from '#upstreams/upstream.ts';
import { parseJson } from './json.ts';

/** RFC 8259 §11 and RFC 6839 §3.1. */
const jsonType = /^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i;

/**
 * The answer to one call, collected and read as JSON. The call ends early when the request it belongs to is cancelled, or
 * when `signal` aborts.
 */
export class Answer implements ResponseSink {
  readonly #upstream: Upstream;
  readonly #call: UpstreamCall;
  /** What a 404 gives; undefined makes it an error like any other status. */
  readonly #missing: null | undefined;
  readonly #resolve: (value: unknown) => void;
  readonly #reject: (error: WeirError) => void;
  #handle: CallHandle | undefined;
  #cancellation = -1;
  #signal: AbortSignal | undefined;
  #contentType: string | undefined;
  #pieces = new Pieces();
  #bytes = 0;
  /** The caller knows; what still comes is thrown away. */
  #settled = false;
  #aborted: WeirError | undefined;

  constructor(
    upstream: Upstream,
    call: UpstreamCall,
    missing: null | undefined,
    resolve: (value: unknown) => void,
    reject: (error: WeirError) => void,
  ) {
    this.#upstream = upstream;
    this.#call = call;
    this.#missing = missing;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  send(signal: AbortSignal | undefined): void {
    const { cancellation } = this.#call.context;
    // The request's own signal says nothing that its cancellation does not.
    if (signal && signal !== cancellation.signal) {
      if (signal.aborted) this.#abort(aborted);
      else signal.addEventListener('abort', this.#onSignal);
      this.#signal = signal;
    }
    this.#cancellation = cancellation.on((reason) => {
      const { clock } = this.#upstream.surroundings;
      this.#abort(cancelled(reason, this.#upstream.name, this.#call.context, clock));
    });
    if (this.#settled) return this.#release();
    this.#handle = this.#upstream.send(this.#call, this);
    // It may have been given up while it was being sent.
    if (this.#aborted) this.#handle.abort(this.#aborted);
  }

  readonly #onSignal = (): void => this.#abort(aborted);

  #abort(reason: WeirError): void {
    this.#fail(reason);
    this.#aborted = reason;
    this.#handle?.abort(reason);
  }

  #release(): void {
    this.#call.context.cancellation.off(this.#cancellation);
    this.#signal?.removeEventListener('abort', this.#onSignal);
  }

  #fail(error: WeirError): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#pieces = new Pieces();
    this.#reject(error);
  }

  #done(value: unknown): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#resolve(value);
  }

  onInformation(): void {
    // A 1xx says nothing that a field could use.
  }

  onHead(status: number, headers: Headers): void {
    this.#contentType = firstValue(headers['content-type']);
    if (status === 404 && this.#missing === null) {
      this.#done(null);
    } else if (status < 200 || status > 299) {
      this.#fail(this.#refused(status));
    } else if (Number(headers['content-length']) > this.#upstream.settings.maxResponseBytes) {
      this.#abort(this.#tooLarge());
    }
  }

  onData(chunk: Buffer): void {
    // Of an answer that is refused, too, which nobody keeps.
    this.#bytes += chunk.length;
    if (this.#bytes > this.#upstream.settings.maxResponseBytes) this.#abort(this.#tooLarge());
    else if (!this.#settled) this.#pieces.push(chunk);
  }

  onEnd(): void {
    this.#release();
    if (this.#settled) return;
    // A 204 has no content, and a 201 or 202 need not have any (RFC 9110 §15.3).
    if (this.#bytes === 0 && this.#contentType === undefined) return this.#done(undefined);
    if (this.#contentType === undefined || !jsonType.test(this.#contentType)) {
      return this.#fail(this.#unreadable(`has content-type ${this.#contentType ?? 'none'}, not JSON`));
    }
    try {
      const json = this.#pieces.join();
      this.#call.purpose?.wrote?.(json);
      this.#done(parseJson(json));
    } catch (error) {
      this.#fail(this.#unreadable((error as Error).message));
    }
  }

  onError(error: WeirError): void {
    this.#release();
    this.#fail(error);
  }

  #refused(status: number): WeirError {
    const { name } = this.#upstream;
    return new WeirError('UPSTREAM_ERROR', {
      detail: `'${name}' answered with status ${status}.`,
      upstream: name,
      cause: new Error(`${this.#where()} answered with status ${status}`),
      extensions: { upstreamStatus: status },
    });
  }

  #tooLarge(): WeirError {
    const { name, settings } = this.#upstream;
    return new WeirError('UPSTREAM_RESPONSE_TOO_LARGE', {
      detail: `'${name}' answered with more than the gateway reads.`,
      upstream: name,
      cause: new Error(`${this.#where()} answered with more than maxResponseBytes, ${settings.maxResponseBytes}`),
    });
  }

  #unreadable(fault: string): WeirError {
    const { name } = this.#upstream;
    return new WeirError('UPSTREAM_BAD_RESPONSE', {
      detail: `'${name}' gave an answer that cannot be read.`,
      upstream: name,
      cause: new Error(`the answer of ${this.#where()} ${fault}`),
    });
  }

  /** For the log. A query may hold personal data, so only the path. */
  #where(): string {
    const { method, path } = this.#call;
    const question = path.indexOf('?');
    return `'${this.#upstream.name}' to ${method} ${question < 0 ? path : path.slice(0, question)}`;
  }
}

const aborted = new WeirError('CLIENT_CLOSED_REQUEST', { detail: 'The call was given up.' });
