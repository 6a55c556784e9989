import type { Headers } from '#core/headers.ts';
import { ownMemory, type Kept } from './kept.ts';
import { forOneOnly } from './private.ts';
import type { Storing } from './storing.ts';
import { selecting } from './vary.ts';

/** What an entry takes besides its body and its fields: the objects, maps and keys that lead to it. */
const overheadBytes = 1024;

/** Statuses without content (RFC 9110 §6.4.1). */
const contentless: ReadonlySet<number> = new Set([204, 205, 304]);

/** One stored answer. */
export class Entry implements Kept {
  /** Where it lies in the store, for who takes it out. */
  readonly target: string;
  readonly partition: string;
  readonly status: number;
  readonly body: Buffer;
  tags: readonly string[];
  /** Names of the fields by which the upstream was shown who asked, whoever the answer may be given to. */
  shown: readonly string[];
  /** Names of the request fields that select it, and their values in the request that it answered (RFC 9111 §4.1). */
  readonly vary: readonly string[];
  readonly selected: string;
  /** It was made for one who has shown who he is, and goes to nobody else, so other caches are told. */
  readonly personal: boolean;
  headers: Headers;
  terms: Storing;
  bytes = 0;
  /** Fetching a fresh one is under way; not before `retryAtMs` again once that has failed. */
  refreshing = false;
  retryAtMs = 0;
  /** It lies in the store no more. */
  gone = false;
  older: Kept | undefined;
  newer: Kept | undefined;
  #second = -1;
  #asHit: Headers | undefined;

  constructor(
    target: string,
    partition: string,
    answer: {
      readonly status: number;
      readonly body: Buffer;
      readonly tags: readonly string[];
      readonly shown: readonly string[];
      readonly personal?: boolean;
    },
    terms: Storing,
    request: Headers,
  ) {
    this.target = target;
    this.partition = partition;
    this.status = answer.status;
    this.body = ownMemory(answer.body);
    this.tags = answer.tags;
    this.shown = answer.shown;
    this.vary = terms.vary;
    this.personal = answer.personal === true && !terms.shared;
    this.selected = selecting(terms.vary, request);
    this.terms = terms;
    this.headers = terms.headers;
    this.#settle();
  }

  #settle(): void {
    if (contentless.has(this.status)) delete this.headers['content-length'];
    else this.headers['content-length'] = String(this.body.length);
    this.#second = -1;
    let bytes =
      overheadBytes + this.body.length + 2 * (this.target.length + this.partition.length + this.selected.length);
    for (const tag of this.tags) bytes += 2 * tag.length + 64;
    for (const name in this.headers) bytes += 2 * (name.length + String(this.headers[name]).length);
    this.bytes = bytes;
  }

  /**
   * RFC 9111 §3.2: a 304, or the answer to a HEAD, has brought these. The store is to be told, since the size has changed.
   * @param shown what the upstream was shown for them
   */
  update(headers: Headers, terms: Storing, tags: readonly string[], shown: readonly string[]): void {
    this.headers = headers;
    this.terms = terms;
    this.tags = tags;
    if (shown !== this.shown) this.shown = [...new Set([...this.shown, ...shown])];
    this.#settle();
  }

  /** It is stored no more, and these are what is told of it now. */
  tell(headers: Headers, nowMs: number): void {
    this.headers = headers;
    this.terms = { ...this.terms, bornMs: nowMs };
    this.#settle();
  }

  answers(request: Headers): boolean {
    return this.vary.length === 0 || this.selected === selecting(this.vary, request);
  }

  /** Milliseconds; never negative, whatever the clocks do. */
  ageMs(nowMs: number): number {
    return Math.max(0, nowMs - this.terms.bornMs);
  }

  /** Fresh, and to be given out without asking. */
  fresh(nowMs: number): boolean {
    return !this.terms.noCache && this.ageMs(nowMs) < this.terms.lifetimeMs;
  }

  /** Once validated it can be given out without asking for a while. */
  get renewable(): boolean {
    return !this.terms.noCache && this.terms.lifetimeMs > 0;
  }

  /** Whether it may stand in for a failed call (RFC 5861 §4). */
  standsIn(nowMs: number): boolean {
    const { lifetimeMs, staleIfErrorMs } = this.terms;
    return staleIfErrorMs > 0 && this.ageMs(nowMs) < lifetimeMs + staleIfErrorMs;
  }

  /** Whether it may be given out while a fresh one is fetched (RFC 5861 §3). */
  bridges(nowMs: number): boolean {
    const { lifetimeMs, staleWhileRevalidateMs } = this.terms;
    return staleWhileRevalidateMs > 0 && this.ageMs(nowMs) < lifetimeMs + staleWhileRevalidateMs;
  }

  /** Its fields as a hit's, with `Age` (RFC 9111 §5.1) and `Cache-Status` (RFC 9211). Made once a second, for all who get it. */
  asHit(nowMs: number): Headers {
    const second = Math.floor(this.ageMs(nowMs) / 1000);
    if (second !== this.#second || !this.#asHit) {
      this.#second = second;
      this.#asHit = this.stamped(nowMs, `hit; ttl=${Math.ceil(this.terms.lifetimeMs / 1000) - second}`);
    }
    return this.#asHit;
  }

  /** The same with something else to say of how it came. */
  stamped(nowMs: number, status: string): Headers {
    const above = this.headers['cache-status'];
    return {
      ...(this.personal ? forOneOnly(this.headers) : this.headers),
      age: String(Math.floor(this.ageMs(nowMs) / 1000)),
      'cache-status': above === undefined ? `weir; ${status}` : `${String(above)}, weir; ${status}`,
    };
  }
}
