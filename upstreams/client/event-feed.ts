import { WeirError } from '#core/errors.ts';
import { firstValue, type Headers } from '#core/headers.ts';
import type { CallHandle, ResponseSink, UpstreamCall } from '#upstreams/call.ts';
import { cancelled } from '#upstreams/cancelled.ts';
import type { Upstream } from '#upstreams/upstream.ts';
import { parseJson } from './json.ts';
import { EventStreamReader, type ServerSentEvent } from './event-stream.ts';

/** Events that may wait for their reader; with more the upstream is asked to hold back. */
const highWater = 64;

/** An event of an upstream. */
export interface UpstreamEvent extends ServerSentEvent {
  /** Its data as JSON. @throws {WeirError} `UPSTREAM_BAD_RESPONSE` */
  readonly json: () => unknown;
}

type Step = IteratorResult<UpstreamEvent, undefined>;

const done: Step = { done: true, value: undefined };

/**
 * An upstream's server-sent events, one at a time as they are read. The call begins with the first `next` and ends when
 * the reader returns, the request is cancelled, or `signal` aborts; only the last two are errors to the reader. One reader,
 * one `next` at a time.
 */
export class EventFeed implements AsyncIterableIterator<UpstreamEvent, undefined, undefined>, ResponseSink {
  readonly #upstream: Upstream;
  readonly #call: UpstreamCall;
  readonly #signal: AbortSignal | undefined;
  readonly #reader = new EventStreamReader();
  readonly #events: UpstreamEvent[] = [];
  #waiting: PromiseWithResolvers<Step> | undefined;
  #handle: CallHandle | undefined;
  #cancellation = -1;
  #started = false;
  #paused = false;
  #error: WeirError | undefined;
  #ended = false;

  constructor(upstream: Upstream, call: UpstreamCall, signal: AbortSignal | undefined) {
    this.#upstream = upstream;
    this.#call = call;
    this.#signal = signal;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<Step> {
    if (!this.#started) this.#start();
    const event = this.#events.shift();
    if (this.#paused && this.#events.length === 0) this.#resume();
    if (event) return Promise.resolve({ done: false, value: event });
    if (this.#error) return Promise.reject(this.#error);
    if (this.#ended) return Promise.resolve(done);
    this.#waiting = Promise.withResolvers();
    return this.#waiting.promise;
  }

  return(): Promise<Step> {
    this.#started = true;
    this.#events.length = 0;
    this.#end(undefined);
    this.#handle?.abort(unread);
    return Promise.resolve(done);
  }

  #start(): void {
    this.#started = true;
    this.#signal?.addEventListener('abort', this.#onSignal);
    if (this.#signal?.aborted) this.#abort(unread);
    this.#cancellation = this.#call.context.cancellation.on((reason) => {
      const { clock } = this.#upstream.surroundings;
      this.#abort(cancelled(reason, this.#upstream.name, this.#call.context, clock));
    });
    if (this.#ended) return;
    this.#handle = this.#upstream.send(this.#call, this);
    if (this.#ended) this.#handle.abort(this.#error ?? unread);
  }

  readonly #onSignal = (): void => this.#abort(unread);

  #resume(): void {
    this.#paused = false;
    this.#handle?.resume();
  }

  #abort(reason: WeirError): void {
    this.#end(reason);
    this.#handle?.abort(reason);
  }

  /** No more events come. Those that are here are still read. */
  #end(error: WeirError | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error;
    this.#call.context.cancellation.off(this.#cancellation);
    this.#signal?.removeEventListener('abort', this.#onSignal);
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (error) waiting?.reject(error);
    else waiting?.resolve(done);
  }

  onInformation(): void {
    // A 1xx is no part of the stream.
  }

  #json(data: string): unknown {
    try {
      return parseJson(Buffer.from(data));
    } catch (cause) {
      const { name } = this.#upstream;
      throw new WeirError('UPSTREAM_BAD_RESPONSE', {
        detail: `'${name}' sent an event that cannot be read.`,
        upstream: name,
        cause,
      });
    }
  }

  onHead(status: number, headers: Headers): void {
    const { name } = this.#upstream;
    const type = firstValue(headers['content-type']);
    // WHATWG HTML §9.2.3: 204 is how a server says that there is nothing to listen to.
    if (status === 204) return;
    if (status !== 200) {
      this.#abort(
        new WeirError('UPSTREAM_ERROR', {
          detail: `'${name}' answered with status ${status}.`,
          upstream: name,
          extensions: { upstreamStatus: status },
        }),
      );
    } else if (type === undefined || !/^text\/event-stream\s*(;|$)/i.test(type)) {
      this.#abort(
        new WeirError('UPSTREAM_BAD_RESPONSE', {
          detail: `'${name}' gave an answer that is no event stream.`,
          upstream: name,
          cause: new Error(`content-type ${type ?? 'none'} instead of text/event-stream`),
        }),
      );
    }
  }

  onData(chunk: Buffer): void {
    if (this.#ended) return;
    for (const read of this.#reader.read(chunk)) {
      const event = { ...read, json: () => this.#json(read.data) };
      const waiting = this.#waiting;
      this.#waiting = undefined;
      if (waiting) waiting.resolve({ done: false, value: event });
      else this.#events.push(event);
    }
    if (this.#reader.pending > this.#upstream.settings.maxResponseBytes) {
      const { name } = this.#upstream;
      this.#abort(
        new WeirError('UPSTREAM_RESPONSE_TOO_LARGE', {
          detail: `'${name}' sent a larger event than the gateway reads.`,
          upstream: name,
        }),
      );
    } else if (this.#events.length >= highWater && !this.#paused) {
      this.#paused = true;
      this.#handle?.pause();
    }
  }

  onEnd(): void {
    this.#end(undefined);
  }

  onError(error: WeirError): void {
    this.#end(error);
  }
}

const unread = new WeirError('CLIENT_CLOSED_REQUEST', { detail: 'Nobody reads the events any more.' });
