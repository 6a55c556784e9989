import { WeirError } from '#core/errors.ts';
import { firstValue, ofBytes, type Headers } from '#core/headers.ts';
import { Pieces } from '#core/pieces.ts';
import { endedHandle, Relay, type CallHandle, type ResponseSink, type UpstreamCall } from '#upstreams/call.ts';
import { EventStreamReader } from '#upstreams/client/event-stream.ts';
import { parseJson } from '#upstreams/client/json.ts';
import type { Layer } from '#upstreams/layer.ts';
import { jsonType } from '#upstreams/transforms/api-document.ts';
import type { Taken, Transform } from '#upstreams/transforms/transform.ts';
import type { HeaderChanges } from '#upstreams/transforms/types.ts';
import type { Upstream } from '#upstreams/upstream.ts';

/**
 * Lets a call speak another version than the service does, where it names a transform. Above all that shares or stores
 * answers, so what is shared is the service's own. JSON that the service's document speaks of is held whole, up to
 * `maxResponseBytes`; an event stream goes through event by event; all else passes as it is.
 */
export const transform: Layer = {
  name: 'transform',
  over: (upstream, next) => (call, sink) => {
    if (call.transform === undefined) return next(call, sink);
    let taken: Taken;
    try {
      taken = take(call.transform, call, upstream);
    } catch (thrown) {
      sink.onError(failure(call.transform, upstream, 'request', thrown));
      return endedHandle;
    }
    return new Transformed(upstream, call, call.transform, taken, sink).follow((relay) => next(call, relay));
  },
};

/** Takes the call to the service's version, in place. */
function take(pair: Transform, call: UpstreamCall, upstream: Upstream): Taken {
  if (call.stream?.kind === 'upgrade')
    throw new WeirError('UPGRADE_REFUSED', {
      detail: `Version ${pair.definition.from} has no WebSockets.`,
      upstream: upstream.name,
    });
  const { operation, request } = pair.read({
    method: call.method,
    path: call.path,
    headers: call.headers,
    body: undefined,
  });
  const body = operation.body && call.body ? bodyOf(call) : undefined;
  pair.check(operation, body);
  const taken = pair.take({ ...request, body });
  const { headers } = call;
  call.path = taken.path;
  call.method = call.method === 'HEAD' && taken.operation.method === 'GET' ? 'HEAD' : taken.operation.method;
  if (taken.body) {
    call.body = taken.body;
    headers['content-type'] = 'application/json';
    // The exchange says how long it is.
    delete headers['content-length'];
  }
  conditions(headers, pair);
  change(headers, taken.outgoing.headers);
  return taken;
}

/** @throws {WeirError} `UNSUPPORTED_MEDIA_TYPE` or `BAD_REQUEST` */
function bodyOf({ headers, body }: UpstreamCall): unknown {
  const type = firstValue(headers['content-type']);
  if (type === undefined || !jsonType.test(type))
    throw new WeirError('UNSUPPORTED_MEDIA_TYPE', { detail: 'The body must be application/json.' });
  try {
    return parseJson(Buffer.from(body!.buffer, body!.byteOffset, body!.byteLength));
  } catch (error) {
    throw new WeirError('BAD_REQUEST', { detail: `The body ${(error as Error).message}.` });
  }
}

/** What is asked of a representation is asked of this version's: parts of its bytes are nobody's (RFC 9110 §14.2). */
function conditions(headers: Headers, { tags }: Transform): void {
  delete headers.range;
  delete headers['if-range'];
  const none = headers['if-none-match'];
  if (none !== undefined) headers['if-none-match'] = tags.unmarked(String(none));
  if (headers['if-none-match'] === undefined) delete headers['if-none-match'];
  const match = headers['if-match'];
  // Left out, it would allow what it forbids; the tag of another version names the same state.
  if (match !== undefined) headers['if-match'] = tags.unmarked(String(match)) ?? match;
}

function change(headers: Headers, changes: HeaderChanges = {}): void {
  for (const name in changes) {
    const value = changes[name];
    if (value === undefined) Reflect.deleteProperty(headers, name);
    else headers[name] = value;
  }
}

type Mode = 'pass' | 'collect' | 'events';

/** The way back of one answer. */
class Transformed extends Relay implements CallHandle {
  readonly #upstream: Upstream;
  readonly #call: UpstreamCall;
  readonly #transform: Transform;
  readonly #taken: Taken;
  #handle: CallHandle | undefined;
  #mode: Mode = 'pass';
  #status = 0;
  #headers: Headers = {};
  #pieces = new Pieces();
  readonly #events = new EventStreamReader();
  /** The caller has been told the end; what still comes is thrown away. */
  #over: WeirError | undefined;

  constructor(upstream: Upstream, call: UpstreamCall, pair: Transform, taken: Taken, sink: ResponseSink) {
    super(sink);
    this.#upstream = upstream;
    this.#call = call;
    this.#transform = pair;
    this.#taken = taken;
  }

  follow(send: (sink: ResponseSink) => CallHandle): CallHandle {
    this.#handle = send(this);
    if (this.#over) this.#handle.abort(this.#over);
    return this;
  }

  override onHead(status: number, headers: Headers): void {
    if (this.#over) return;
    this.#mode = this.#modeOf(status, headers);
    if (this.#mode === 'pass') return this.sink.onHead(status, headers);
    this.#status = status;
    // Other readers may share what came.
    this.#headers = { ...headers };
    for (const name of ofBytes) Reflect.deleteProperty(this.#headers, name);
    if (typeof headers.etag === 'string') this.#headers.etag = this.#transform.tags.marked(headers.etag);
    if (this.#mode === 'events') this.sink.onHead(status, this.#headers);
    else if (
      Number(headers['content-length']) > this.#upstream.settings.maxResponseBytes &&
      this.#call.method !== 'HEAD'
    )
      this.#fail(this.#tooLarge());
  }

  #modeOf(status: number, headers: Headers): Mode {
    const type = firstValue(headers['content-type']);
    if (type !== undefined && /^text\/event-stream\s*(;|$)/i.test(type))
      return this.#transform.definition.event ? 'events' : 'pass';
    const coding = firstValue(headers['content-encoding']);
    const readable = (type === undefined || jsonType.test(type)) && (coding === undefined || coding === 'identity');
    return readable && this.#transform.speaksOf(this.#taken.operation, status) ? 'collect' : 'pass';
  }

  override onData(chunk: Buffer): void {
    if (this.#over) return;
    if (this.#mode === 'pass') return this.sink.onData(chunk);
    if (this.#mode === 'events') return this.#forwardEvents(chunk);
    if (this.#pieces.length + chunk.length > this.#upstream.settings.maxResponseBytes) this.#fail(this.#tooLarge());
    else this.#pieces.push(chunk);
  }

  override onEnd(trailers: Headers | undefined): void {
    if (this.#over) return;
    if (this.#mode !== 'collect') return this.sink.onEnd(trailers);
    const { method } = this.#call;
    // Of an answer without content only the head can be brought back (RFC 9110 §9.3.2, §15.4.5).
    if (method === 'HEAD' || this.#status === 304) {
      this.sink.onHead(this.#status, this.#headers);
      return this.sink.onEnd(undefined);
    }
    let status: number;
    let body: Buffer | undefined;
    try {
      const answer = this.#transform.bring(this.#taken, {
        status: this.#status,
        headers: this.#headers,
        body: this.#pieces.length === 0 ? undefined : this.#json(),
      });
      status = answer.status;
      body = answer.body === undefined ? undefined : Buffer.from(JSON.stringify(answer.body));
      change(this.#headers, answer.headers);
    } catch (thrown) {
      return this.#fail(failure(this.#transform, this.#upstream, 'response', thrown, this.#taken));
    }
    if (body) {
      this.#headers['content-type'] ??= 'application/json';
      this.#headers['content-length'] = String(body.length);
    } else if (this.#pieces.length > 0) delete this.#headers['content-type'];
    this.sink.onHead(status, this.#headers);
    if (body) this.sink.onData(body);
    this.sink.onEnd(undefined);
  }

  override onError(error: WeirError): void {
    if (!this.#over) this.sink.onError(error);
  }

  #json(): unknown {
    try {
      return parseJson(this.#pieces.join());
    } catch (cause) {
      const { name } = this.#upstream;
      throw new WeirError('UPSTREAM_BAD_RESPONSE', {
        detail: `'${name}' gave an answer that cannot be read.`,
        upstream: name,
        cause,
      });
    }
  }

  #forwardEvents(chunk: Buffer): void {
    const { definition } = this.#transform;
    let text = '';
    try {
      for (const { event, data, id } of this.#events.read(chunk)) {
        const brought = definition.event!({ event, data: JSON.parse(data) as unknown }, this.#taken.request);
        // WHATWG HTML §9.2.6; JSON has no line breaks of its own.
        if (id !== '') text += `id: ${id}\n`;
        if (brought.event !== 'message') text += `event: ${brought.event}\n`;
        text += `data: ${JSON.stringify(brought.data)}\n\n`;
      }
    } catch (thrown) {
      return this.#fail(failure(this.#transform, this.#upstream, 'event', thrown, this.#taken));
    }
    if (this.#events.pending > this.#upstream.settings.maxResponseBytes) return this.#fail(this.#tooLarge());
    // A comment keeps the connection warm as what came in its place did.
    this.sink.onData(Buffer.from(text === '' ? ':\n\n' : text));
  }

  #fail(error: WeirError): void {
    this.#over = error;
    this.#pieces = new Pieces();
    this.sink.onError(error);
    this.#handle?.abort(error);
  }

  #tooLarge(): WeirError {
    const { name, settings } = this.#upstream;
    return new WeirError('UPSTREAM_RESPONSE_TOO_LARGE', {
      detail: `'${name}' answered with more than the gateway reads.`,
      upstream: name,
      cause: new Error(
        `more than maxResponseBytes, ${settings.maxResponseBytes}, for transform '${this.#transform.name}'`,
      ),
    });
  }

  pause(): void {
    this.#handle?.pause();
  }

  resume(): void {
    this.#handle?.resume();
  }

  abort(reason: WeirError): void {
    if (!this.#over) this.#handle?.abort(reason);
  }
}

/** What was thrown as a `WeirError` says itself what it means. Which transform it was is for the log. */
function failure(
  pair: Transform,
  { name }: Upstream,
  half: 'request' | 'response' | 'event',
  thrown: unknown,
  taken?: Taken,
): WeirError {
  if (thrown instanceof WeirError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  const of = taken ? ` of ${taken.operation.key}` : '';
  return new WeirError('TRANSFORM_FAILED', {
    detail: `What '${name}' is asked or says cannot be put into the version that was asked for.`,
    upstream: name,
    cause: new Error(`transform '${pair.name}' failed on the ${half}${of}: ${message}`, { cause: thrown }),
  });
}
