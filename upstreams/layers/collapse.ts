import { WeirError } from '#core/errors.ts';
import type { Headers } from '#core/headers.ts';
import { Pieces } from '#core/pieces.ts';
import { endedHandle, type CallHandle, type ResponseSink, type Send, type UpstreamCall } from '#upstreams/call.ts';
import { askedAt } from '#upstreams/cache/audience.ts';
import { stamped } from '#upstreams/forwarding.ts';
import type { Layer } from '#upstreams/layer.ts';
import type { Upstream } from '#upstreams/upstream.ts';

/** An answer larger than this is not held for others; they ask for themselves. */
const maxSharedBytes = 1024 * 1024;

/**
 * Sends identical reads that are under way at the same time once. Identical means the same method, URI and forwarded
 * headers, asked at the same host and scheme, and exactly the same identity shown; what differs for every request (ids, trace, forwarding) is set further
 * down. The first caller gets the answer as it streams in; the others get it whole at its end, so that no client can slow
 * down another. The shared call runs on the upstream's timeout and dies with its last waiter.
 */
export const collapse: Layer = {
  name: 'collapse',
  over: (upstream, next) => {
    const flights = new Flights();
    return (call, sink) => {
      if (!shareable(call)) return next(call, sink);
      const flight = flights.find(call);
      if (flight) return flight.join(call, sink);
      // A client's own deadline is told to the upstream, so others cannot rely on this call; it may ride on theirs.
      if (call.context.clientDeadline) return next(call, sink);
      return new Flight(upstream, flights, next, call, sink).lead();
    };
  },
};

function shareable(call: UpstreamCall): boolean {
  if (call.own || call.mirrored || call.body || call.stream || (call.method !== 'GET' && call.method !== 'HEAD'))
    return false;
  // A stream of events has no end at which it could be handed out.
  if (String(call.headers.accept).includes('text/event-stream')) return false;
  // RFC 9111 §5.2.1.4: the client wants an answer made for this request.
  const control = call.headers['cache-control'];
  return control === undefined || !String(control).includes('no-');
}

/** What was asked by the caller; the call that is under way has been stamped since. */
function sameRead(a: UpstreamCall, b: UpstreamCall): boolean {
  return (
    a.path === b.path &&
    a.method === b.method &&
    a.identityKey === b.identityKey &&
    a.writes === b.writes &&
    a.labels === b.labels &&
    askedAt(a.context) === askedAt(b.context) &&
    covers(a.headers, b.headers) &&
    covers(b.headers, a.headers)
  );
}

function covers(some: Headers, all: Headers): boolean {
  for (const name in some) {
    if (!stamped.has(name) && String(some[name]) !== String(all[name])) return false;
  }
  return true;
}

/** Types of answers that come piece by piece, perhaps without end: who waits for it would wait in vain. */
const piecemeal = /^(text\/event-stream|application\/(x-ndjson|jsonl|json-seq|stream\+json)|multipart\/)/i;

/** RFC 9111 §4.1 `Vary: *`, and answers that speak to one client or have no end. */
function personal(headers: Headers): boolean {
  return (
    headers['set-cookie'] !== undefined ||
    String(headers.vary ?? '').includes('*') ||
    piecemeal.test(String(headers['content-type']))
  );
}

const shelves = 256;

/**
 * Reads that are under way, found by their path. Not a Map: one that gains and loses an entry with each request leaves its
 * outgrown tables behind, each of which refers to the next, and what they held survives every small collection: half of
 * all that requests allocated did.
 */
class Flights {
  readonly #shelves: (Flight | undefined)[] = Array.from({ length: shelves }, () => undefined);

  find(call: UpstreamCall): Flight | undefined {
    let flight = this.#shelves[shelfOf(call.path)];
    while (flight && !flight.carries(call)) flight = flight.before;
    return flight;
  }

  add(flight: Flight): void {
    const shelf = shelfOf(flight.path);
    flight.before = this.#shelves[shelf];
    this.#shelves[shelf] = flight;
  }

  remove(flight: Flight): void {
    const shelf = shelfOf(flight.path);
    let other = this.#shelves[shelf];
    if (other === flight) this.#shelves[shelf] = flight.before;
    else {
      while (other && other.before !== flight) other = other.before;
      if (other) other.before = flight.before;
    }
    flight.before = undefined;
  }
}

/** Paths differ most at their end. */
function shelfOf(path: string): number {
  const { length } = path;
  let mixed = length;
  for (let at = Math.max(0, length - 12); at < length; at++) mixed = (mixed * 31 + path.charCodeAt(at)) | 0;
  return (mixed ^ (mixed >>> 16)) & (shelves - 1);
}

/** One read under way and everybody who waits for it; to its first client it is the handle of the call. */
class Flight implements ResponseSink, CallHandle {
  readonly #upstream: Upstream;
  readonly #flights: Flights;
  readonly #next: Send;
  readonly #call: UpstreamCall;
  /** The one that began before it, among those whose paths look alike. */
  before: Flight | undefined;
  #leader: ResponseSink | undefined;
  #followers: readonly Follower[] = nobodyElse;
  #handle: CallHandle = endedHandle;
  #status = 0;
  #headers: Headers | undefined;
  #pieces: Pieces | undefined;
  /** Nobody can join any more: ended, too large, or meant for one client. */
  #closed = false;
  #leaderPaused = false;

  constructor(upstream: Upstream, flights: Flights, next: Send, call: UpstreamCall, leader: ResponseSink) {
    this.#upstream = upstream;
    this.#flights = flights;
    this.#next = next;
    this.#call = call;
    this.#leader = leader;
  }

  get path(): string {
    return this.#call.path;
  }

  carries(call: UpstreamCall): boolean {
    return sameRead(this.#call, call);
  }

  lead(): CallHandle {
    const { timeoutMs } = this.#call;
    this.#flights.add(this);
    this.#call.deadlineMs =
      this.#upstream.surroundings.clock.monotonicMs() + (timeoutMs ?? this.#upstream.settings.timeout);
    this.#handle = this.#next(this.#call, this);
    return this;
  }

  join(call: UpstreamCall, sink: ResponseSink): CallHandle {
    if (this.#headers && personal(this.#headers)) {
      this.#close();
      return this.#next(call, sink);
    }
    const follower = new Follower(call, sink, (left, reason) => {
      this.#followers = this.#followers.filter((other) => other !== left);
      if (this.#followers.length === 0 && !this.#leader) this.#abandon(reason);
    });
    this.#followers = [...this.#followers, follower];
    const { debug, name } = this.#upstream;
    if (debug.on && debug.wants(call.context)) {
      const { method, path } = call;
      debug.write(
        call.context,
        { upstream: name, method, path, call: this.#call.context.id },
        'joined a call under way',
      );
    }
    if (this.#leaderPaused) this.#handle.resume();
    return follower;
  }

  pause(): void {
    this.#leaderPaused = true;
    if (this.#followers.length === 0) this.#handle.pause();
  }

  resume(): void {
    this.#leaderPaused = false;
    this.#handle.resume();
  }

  abort(reason: WeirError): void {
    const leader = this.#leader;
    if (!leader) return;
    this.#leader = undefined;
    this.#leaderPaused = false;
    if (this.#followers.length === 0) this.#abandon(reason);
    else this.#handle.resume();
    leader.onError(reason);
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#pieces = undefined;
    this.#flights.remove(this);
  }

  #abandon(reason: WeirError): void {
    this.#close();
    this.#handle.abort(reason);
  }

  /** This answer is not for sharing: everyone but the first asks for themselves. */
  #disperse(): void {
    this.#close();
    const followers = this.#followers;
    this.#followers = nobodyElse;
    for (const follower of followers) follower.goAlone(this.#next);
    if (!this.#leader) this.#handle.abort(nobody);
    else if (this.#leaderPaused) this.#handle.pause();
  }

  onInformation(status: number, headers: Headers): void {
    this.#leader?.onInformation(status, headers);
  }

  onHead(status: number, headers: Headers): void {
    this.#status = status;
    this.#headers = headers;
    if (Number(headers['content-length']) > maxSharedBytes || (this.#followers.length > 0 && personal(headers)))
      this.#disperse();
    this.#leader?.onHead(status, headers);
  }

  onData(chunk: Buffer): void {
    if (!this.#closed) {
      const pieces = (this.#pieces ??= new Pieces());
      if (pieces.length + chunk.length > maxSharedBytes) this.#disperse();
      else pieces.push(chunk);
    }
    this.#leader?.onData(chunk);
  }

  onEnd(trailers: Headers | undefined): void {
    const pieces = this.#pieces;
    this.#close();
    const leader = this.#leader;
    this.#leader = undefined;
    leader?.onEnd(trailers);
    const followers = this.#followers;
    if (followers.length === 0) return;
    // As one piece, however many it came in.
    const body = pieces?.join();
    for (const follower of followers) follower.receive(this.#status, this.#headers ?? {}, body, trailers);
  }

  onError(error: WeirError): void {
    this.#close();
    const leader = this.#leader;
    this.#leader = undefined;
    leader?.onError(error);
    for (const follower of this.#followers) follower.fail(error);
  }
}

const nobodyElse: readonly Follower[] = [];

const nobody = new WeirError('CLIENT_CLOSED_REQUEST');

class Follower implements CallHandle {
  readonly #call: UpstreamCall;
  readonly #sink: ResponseSink;
  readonly #leave: (self: Follower, reason: WeirError) => void;
  #own: CallHandle | undefined;
  #ended = false;

  constructor(call: UpstreamCall, sink: ResponseSink, leave: (self: Follower, reason: WeirError) => void) {
    this.#call = call;
    this.#sink = sink;
    this.#leave = leave;
  }

  receive(status: number, headers: Headers, body: Buffer | undefined, trailers: Headers | undefined): void {
    this.#ended = true;
    this.#call.context.calls.collapsed++;
    this.#call.collapsed = true;
    this.#sink.onHead(status, headers);
    if (body) this.#sink.onData(body);
    this.#sink.onEnd(trailers);
  }

  fail(error: WeirError): void {
    this.#ended = true;
    this.#call.context.calls.collapsed++;
    this.#sink.onError(error);
  }

  goAlone(next: Send): void {
    this.#own = next(this.#call, this.#sink);
  }

  pause(): void {
    this.#own?.pause();
  }

  resume(): void {
    this.#own?.resume();
  }

  abort(reason: WeirError): void {
    if (this.#own) {
      this.#own.abort(reason);
    } else if (!this.#ended) {
      this.#ended = true;
      this.#leave(this, reason);
      this.#sink.onError(reason);
    }
  }
}
