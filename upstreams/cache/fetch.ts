import { WeirError, type ErrorCode } from '#core/errors.ts';
import type { Headers } from '#core/headers.ts';
import { Pieces } from '#core/pieces.ts';
import { endedHandle, type CallHandle, type ResponseSink, type Send, type UpstreamCall } from '#upstreams/call.ts';
import type { Upstream } from '#upstreams/upstream.ts';
import { isUnchanged, type Ask } from './ask.ts';
import { shownInputs } from './audience.ts';
import { deliver, unchanged } from './deliver.ts';
import { Entry } from './entry.ts';
import type { Partition, Shelf } from './memory-store.ts';
import { towardsClient } from './private.ts';
import type { Outcome, Outcomes } from './outcomes.ts';
import { tellReading, tellStale, tellUnstorable } from './reading.ts';
import type { Lease, SecondLevel } from './second-level/second-level.ts';
import type { CacheRules } from './settings.ts';
import { storing, type Answered, type Storing } from './storing.ts';
import { tagsOf } from './tags.ts';

/** Where the reads of one upstream meet its store. */
export interface Desk {
  readonly upstream: Upstream;
  readonly shelf: Shelf;
  readonly next: Send;
  readonly outcomes: Outcomes;
  /** Statuses that a stored answer may stand in for. */
  readonly failing: ReadonlySet<number>;
  /** What instances share, where they do. */
  readonly second: SecondLevel | undefined;
  /** Told of each answer whether it could be stored. */
  note(target: string, storable: boolean): void;
}

/** Who may be given the answer. */
export interface Audience {
  readonly everybody: Partition;
  readonly own: Partition;
  /** The upstream is shown who asks. */
  readonly identified: boolean;
  /** What is not for everybody is for no other cache either. */
  readonly personal: boolean;
}

export interface Errand {
  readonly rules: CacheRules;
  readonly ask: Ask | undefined;
  /** Why it is not answered from the store (RFC 9211 §2.2). */
  readonly why: string;
  /** What the store has, and what cannot be given out as it is. */
  readonly entry: Entry | undefined;
  readonly audience: Audience;
  /** The right to store the answer where instances share it. */
  readonly lease: Lease | undefined;
}

/** More of a body that nobody reads is not waited for. */
const maxIdleBytes = 64 * 1024;

/** RFC 9111 §3.2: a 304 says nothing new of these, which belong to the content that is stored. */
const ofContent: ReadonlySet<string> = new Set([
  'content-encoding',
  'content-length',
  'content-md5',
  'content-range',
  'etag',
  'transfer-encoding',
]);

/**
 * Statuses that speak of the request, and say nothing of what is there: a part of it, that it has not changed for who asked, that
 * it was asked for wrongly or too often.
 */
const ofRequest: ReadonlySet<number> = new Set([
  206, 304, 400, 405, 406, 407, 408, 411, 412, 413, 414, 415, 416, 417, 421, 422, 425, 426, 428, 429, 431,
]);

/** `Cache-Status` (RFC 9211) of an answer that does not come from the store. An answer to a resolver needs none. */
export function noteStatus({ context, buffered, own }: UpstreamCall, status: string, above?: string | string[]): void {
  if (buffered || own) return;
  context.reply.headers['cache-status'] = above === undefined ? `weir; ${status}` : `${String(above)}, weir; ${status}`;
}

/**
 * A read that goes to the upstream: with the validators of what is stored, if there is something. Its answer goes on as it comes
 * and is stored beside, once it is whole; a 304 renews what is stored; and where the upstream fails, what is stored may stand in.
 */
export class Fetch implements ResponseSink, CallHandle {
  readonly #desk: Desk;
  readonly #call: UpstreamCall;
  readonly #errand: Errand;
  readonly #sink: ResponseSink;
  #handle: CallHandle = endedHandle;
  /** The writes that were known when it went out. */
  readonly #moment: number;
  #attempts = 0;
  #askedMs = 0;
  #validating = false;
  /** The caller has its answer, from the store; what still comes is not for it. */
  #served = false;
  /** A 304 was about something else than what is stored. */
  #again = false;
  /** The answer's head has gone on. */
  #begun = false;
  /** The caller needs no content. */
  #mute = false;
  #status = 0;
  #terms: Storing | undefined;
  #pieces: Pieces | undefined;
  /** Of a body that is for nobody. */
  #idleBytes = 0;
  #lease: Lease | undefined;

  constructor(desk: Desk, call: UpstreamCall, errand: Errand, sink: ResponseSink) {
    this.#desk = desk;
    this.#call = call;
    this.#errand = errand;
    this.#sink = sink;
    this.#moment = desk.shelf.moment;
    this.#lease = errand.lease;
    call.writes = desk.shelf.lastWrite(call.path);
  }

  start(): CallHandle {
    const { entry } = this.#errand;
    const { headers, method } = this.#call;
    // RFC 9111 §4.3.1.
    if (entry && method === 'GET') {
      const { etag, 'last-modified': modified } = entry.headers;
      if (etag !== undefined || modified !== undefined) {
        this.#validating = true;
        headers['if-none-match'] = etag;
        headers['if-modified-since'] = modified;
        if (etag === undefined) delete headers['if-none-match'];
        if (modified === undefined) delete headers['if-modified-since'];
        delete headers.range;
        delete headers['if-range'];
      }
    }
    this.#send();
    return this;
  }

  #send(): void {
    this.#askedMs = this.#now();
    const attempt = ++this.#attempts;
    const handle = this.#desk.next(this.#call, this);
    // It may have been answered, and sent again, before this returns.
    if (attempt === this.#attempts) this.#handle = handle;
  }

  #now(): number {
    return this.#desk.upstream.surroundings.clock.epochMs();
  }

  onInformation(status: number, headers: Headers): void {
    if (!this.#served) this.#sink.onInformation(status, headers);
  }

  onHead(status: number, headers: Headers): void {
    if (this.#served) return;
    const { entry, ask, why } = this.#errand;
    const nowMs = this.#now();
    if (this.#validating && status === 304) {
      this.#renew(entry!, headers, nowMs);
      return;
    }
    if (this.#desk.failing.has(status) && this.#standsIn(nowMs)) {
      this.#standIn(`fwd=${why}; fwd-status=${status}; detail="stale-if-error"`, 'UPSTREAM_ERROR', nowMs);
      return;
    }
    this.#status = status;
    this.#begun = true;
    this.#desk.outcomes.count(this.#call, this.#call.collapsed ? 'collapsed' : 'miss');
    this.#prepareToStore(status, headers, nowMs);
    const stored = this.#terms ? '; stored' : '';
    const collapsed = this.#call.collapsed ? '; collapsed' : '';
    noteStatus(this.#call, `fwd=${why}; fwd-status=${status}${stored}${collapsed}`, headers['cache-status']);
    const told = towardsClient(headers, this.#call, this.#errand.audience.identified, this.#errand.rules);
    // The client's own validators did not go out.
    if (this.#validating && status === 200 && ask && isUnchanged({ headers }, ask, nowMs)) {
      this.#mute = true;
      this.#sink.onHead(304, unchanged(told));
    } else {
      this.#sink.onHead(status, told);
    }
    // Fetched for the store alone.
    if (this.#call.own && !this.#terms) this.#handle.abort(useless);
  }

  #prepareToStore(status: number, headers: Headers, nowMs: number): void {
    const { entry, rules, audience } = this.#errand;
    const { shelf } = this.#desk;
    const { identified } = audience;
    const answered = { status, headers, askedMs: this.#askedMs, nowMs, identified };
    const terms = storing(answered, rules);
    if (this.#call.method === 'HEAD') {
      if (entry && !ofRequest.has(status)) this.#compare(entry, status, headers, terms);
      return;
    }
    this.#tell(status, isFramed(status, headers) ? terms : undefined, answered);
    if (!terms && ofRequest.has(status)) return;
    if (terms && Number(headers['content-length'] ?? 0) <= shelf.maxEntryBytes && isFramed(status, headers)) {
      this.#terms = terms;
    } else if (entry && status < 500) {
      // The upstream has something else now, which is not to be stored.
      this.#remove(entry);
    }
    if (status < 500) this.#desk.note(this.#call.path, this.#terms !== undefined);
  }

  #remove(entry: Entry): void {
    const { shelf, second, upstream } = this.#desk;
    shelf.remove(entry);
    second?.remove(upstream.name, entry);
  }

  /** Hands an answer to those that share what is stored; without one, leaves it to another to fetch one. */
  #share(entry?: Entry): void {
    const lease = this.#lease;
    if (!lease) return;
    this.#lease = undefined;
    const { second, upstream } = this.#desk;
    // Whose call it was does the same.
    if (entry && !entry.gone && !this.#call.collapsed) void second!.put(lease, upstream.name, entry);
    else second!.release(lease);
  }

  /** Tells of the answer whoever makes something else of it. */
  #tell(status: number, terms: Storing | undefined, answered?: Answered): void {
    const call = this.#call;
    if (!call.context.provenance && !call.purpose) return;
    const { rules } = this.#errand;
    // Nobody says how long it is fresh, but nobody forbids to store it either.
    const silent =
      !terms && answered && call.purpose?.caching?.inherits === true && storing(answered, { ...rules, ttl: 1 });
    if (!terms && !silent) return tellUnstorable(call);
    const { upstream, shelf } = this.#desk;
    const tags = terms ? tagsOf(terms.headers, rules.tags) : [];
    const mark = shelf.mark(call.path, tags, this.#moment);
    tellReading({ upstream, call, rules, status, terms, tags, mark, hit: false });
  }

  /** RFC 9111 §4.3.5: what a HEAD says of what is stored. */
  #compare(entry: Entry, status: number, headers: Headers, terms: Storing | undefined): void {
    if (status >= 500) return;
    const same = (name: string): boolean => headers[name] === undefined || headers[name] === entry.headers[name];
    const agrees = status === entry.status && same('etag') && same('last-modified') && same('content-length');
    if (!agrees || !terms || !isFor(terms, entry)) return this.#remove(entry);
    const merged = { ...entry.headers, ...terms.headers };
    const tags = tagsOf(merged, this.#errand.rules.tags);
    if (this.#holds(tags)) this.#update(entry, merged, terms, tags);
    else this.#remove(entry);
  }

  /** Nobody has written there since it was asked for, nor purged what it is one of. */
  #holds(tags: readonly string[]): boolean {
    return this.#desk.shelf.mark(this.#call.path, tags, this.#moment).holds();
  }

  #update(entry: Entry, headers: Headers, terms: Storing, tags: readonly string[]): void {
    const shown = shownInputs(this.#desk.upstream, this.#call);
    this.#desk.shelf.update(entry, () => entry.update(headers, terms, tags, shown));
  }

  /** RFC 9111 §4.3.4. */
  #renew(entry: Entry, headers: Headers, nowMs: number): void {
    const { rules, why, audience } = this.#errand;
    if (headers.etag !== undefined && entry.headers.etag !== undefined && !sameTag(headers.etag, entry.headers.etag)) {
      // Nothing is known of what the upstream has now, so it is asked as if nothing were stored.
      this.#remove(entry);
      this.#again = true;
      return;
    }
    const merged: Headers = { ...entry.headers };
    for (const name in headers) if (!ofContent.has(name)) merged[name] = headers[name];
    const { status } = entry;
    const { identified } = audience;
    const terms = storing({ status, headers: merged, askedMs: this.#askedMs, nowMs, identified }, rules);
    const tags = terms ? tagsOf(terms.headers, rules.tags) : [];
    const stays = terms && this.#holds(tags) && isFor(terms, entry);
    if (!stays) this.#remove(entry);
    if (terms) this.#update(entry, terms.headers, terms, tags);
    else entry.tell(merged, nowMs);
    if (stays && entry.renewable) this.#share(entry);
    this.#tell(status, terms);
    this.#serve('revalidated', `fwd=${why}; fwd-status=304${stays ? '; stored' : ''}`, nowMs);
  }

  /** RFC 5861 §4: the response allows it, the configuration, or the client. */
  #standsIn(nowMs: number): boolean {
    const { entry, ask } = this.#errand;
    if (!entry || this.#begun || entry.gone) return false;
    if (entry.standsIn(nowMs)) return true;
    const seconds = entry.terms.strict ? undefined : ask?.control.seconds('stale-if-error');
    return seconds !== undefined && entry.ageMs(nowMs) < entry.terms.lifetimeMs + seconds * 1000;
  }

  #standIn(status: string, code: ErrorCode, nowMs: number): void {
    tellStale(this.#call, { upstream: this.#desk.upstream.name, code, ageMs: this.#errand.entry!.ageMs(nowMs) });
    this.#serve('stale', status, nowMs);
  }

  #serve(outcome: Outcome, status: string, nowMs: number): void {
    this.#served = true;
    this.#share();
    const entry = this.#errand.entry!;
    this.#desk.shelf.touch(entry);
    const headers = entry.stamped(nowMs, status);
    const bytes = deliver(entry, headers, this.#call.method, this.#errand.ask, nowMs, this.#sink);
    this.#desk.outcomes.count(this.#call, outcome, bytes);
  }

  onData(chunk: Buffer): void {
    if (this.#served) {
      this.#idleBytes += chunk.length;
      if (this.#idleBytes > maxIdleBytes) this.#handle.abort(useless);
      return;
    }
    if (this.#terms) {
      const pieces = (this.#pieces ??= new Pieces());
      if (pieces.length + chunk.length <= this.#desk.shelf.maxEntryBytes) {
        pieces.push(chunk);
      } else {
        this.#terms = undefined;
        this.#pieces = undefined;
        if (this.#call.own) this.#handle.abort(useless);
      }
    }
    if (!this.#mute) this.#sink.onData(chunk);
  }

  onEnd(trailers: Headers | undefined): void {
    if (this.#served) return;
    if (this.#again) {
      this.#again = false;
      this.#validating = false;
      delete this.#call.headers['if-none-match'];
      delete this.#call.headers['if-modified-since'];
      this.#send();
      return;
    }
    if (this.#terms) this.#store(this.#terms);
    this.#share();
    this.#sink.onEnd(this.#mute ? undefined : trailers);
  }

  #store(terms: Storing): void {
    const { shelf } = this.#desk;
    const { path, headers } = this.#call;
    const { audience, entry: former, rules } = this.#errand;
    const tags = tagsOf(terms.headers, rules.tags);
    // Else this may be what was before.
    if (!this.#holds(tags)) return;
    const body = this.#pieces?.join() ?? nobody;
    this.#pieces = undefined;
    const partition = terms.shared ? audience.everybody : audience.own;
    if (former && !former.gone && former.partition !== partition) this.#remove(former);
    const { personal } = audience;
    const shown = shownInputs(this.#desk.upstream, this.#call);
    const entry = new Entry(path, partition, { status: this.#status, body, tags, shown, personal }, terms, headers);
    shelf.put(entry);
    this.#share(entry);
  }

  onError(error: WeirError): void {
    if (this.#served) return;
    if (error.fault === 'upstream' && this.#patient(error)) {
      const nowMs = this.#now();
      if (this.#standsIn(nowMs)) {
        this.#standIn(`fwd=${this.#errand.why}; detail="stale-if-error"`, error.code, nowMs);
        return;
      }
    }
    if (!this.#begun) {
      this.#desk.outcomes.count(this.#call, 'miss');
      noteStatus(this.#call, `fwd=${this.#errand.why}`);
    }
    this.#share();
    this.#sink.onError(error);
  }

  /** Time that the client did not give is no failure of the upstream's, and nobody waits for the answer any more. */
  #patient({ code }: WeirError): boolean {
    const { context } = this.#call;
    return code !== 'DEADLINE_EXCEEDED' || this.#desk.upstream.surroundings.clock.monotonicMs() < context.deadlineMs;
  }

  pause(): void {
    if (!this.#served) this.#handle.pause();
  }

  resume(): void {
    if (!this.#served) this.#handle.resume();
  }

  abort(reason: WeirError): void {
    this.#handle.abort(reason);
  }
}

const nobody = Buffer.alloc(0);

const useless = new WeirError('CLIENT_CLOSED_REQUEST', { detail: 'Nobody needs the rest.' });

/** They are for the same readers as what is stored. */
function isFor({ shared, vary }: Storing, { terms }: Entry): boolean {
  return shared === terms.shared && vary.join() === terms.vary.join();
}

/** The end of the answer can be told from its breaking off (RFC 9111 §3.3). */
function isFramed(status: number, headers: Headers): boolean {
  return (
    headers['content-length'] !== undefined ||
    headers['transfer-encoding'] !== undefined ||
    status === 204 ||
    status === 205
  );
}

/** RFC 9110 §8.8.3.2, weak comparison: it was the upstream that compared. */
function sameTag(a: string | string[], b: string | string[]): boolean {
  return String(a).replace(/^W\//, '') === String(b).replace(/^W\//, '');
}
