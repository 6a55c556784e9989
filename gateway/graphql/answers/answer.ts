import { hash } from 'node:crypto';
import type { Headers } from '#core/headers.ts';
import type { Estimate } from '#core/price.ts';
import type { Ingredient, Provenance } from '#core/provenance.ts';
import { ownMemory, type Kept } from '#upstreams/cache/kept.ts';

/** What an answer takes besides its body: the objects that it consists of, and its place in the table. */
const overheadBytes = 1_024;
const ingredientBytes = 128;

/** A CDN takes no longer field. */
const maxSurrogateKey = 4_096;

/** To whom caches between the client and us may give an answer. */
export interface Openness {
  /** Any of them to anybody; else only the client's own, to itself. */
  readonly public: boolean;
  readonly vary: string;
  /** Of one that is for one client alone. */
  readonly closedVary: string;
}

/** The finished answer to an operation: what is sent of it, and for how long. */
export class Answer implements Kept {
  /** JSON of a result that has `data` alone. */
  readonly body: Buffer;
  /** Weak: `extensions` may tell each client what it has left. */
  readonly etag: string;
  /** Epoch milliseconds. */
  readonly bornMs: number;
  readonly untilMs: number;
  readonly terms: { readonly noCache: false; readonly lifetimeMs: number; readonly strict: true };
  readonly key: string;
  /** What the operation may come to, as it was worked out for who asked first. */
  readonly estimate: Estimate | undefined;
  readonly bytes: number;
  gone = false;
  older: Kept | undefined;
  newer: Kept | undefined;
  readonly #openness: Openness;
  readonly #cacheControl: string;
  readonly #surrogateKey: string | undefined;
  readonly #ingredients: readonly Ingredient[];
  #second = -1;
  #age = '';
  #cacheStatus = '';

  constructor(
    key: string,
    body: Buffer,
    made: Provenance,
    openness: Openness,
    estimate: Estimate | undefined,
    bornMs: number,
  ) {
    this.key = key;
    this.estimate = estimate;
    this.body = ownMemory(body);
    this.bornMs = bornMs;
    this.untilMs = made.untilMs;
    this.terms = { noCache: false, lifetimeMs: made.untilMs - bornMs, strict: true };
    this.etag = `W/"${hash('sha1', body, 'base64url')}"`;
    this.#openness = openness;
    this.#cacheControl = cacheControl(openness, made, bornMs);
    this.#surrogateKey = openness.public ? surrogateKey(made.tags) : undefined;
    this.#ingredients = made.ingredients;
    this.bytes = overheadBytes + body.length + 2 * key.length + ingredientBytes * made.ingredients.length;
  }

  /** Nothing that it is made of has been written since. */
  get holds(): boolean {
    for (const ingredient of this.#ingredients) if (!ingredient.holds()) return false;
    return true;
  }

  fresh(nowMs: number): boolean {
    return nowMs < this.untilMs;
  }

  ageMs(nowMs: number): number {
    return Math.max(0, nowMs - this.bornMs);
  }

  /** Its fields as it comes from the store, with `Age` (RFC 9111 §5.1) and `Cache-Status` (RFC 9211). */
  asHit(nowMs: number, closed: boolean): Headers {
    const second = Math.floor(this.ageMs(nowMs) / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#age = String(second);
      this.#cacheStatus = `weir; hit; ttl=${Math.ceil((this.untilMs - nowMs) / 1000)}`;
    }
    return this.#headers(this.#age, this.#cacheStatus, closed);
  }

  /** The same as it was just made. */
  asMade(stored: boolean, closed: boolean): Headers {
    return this.#headers('0', stored ? 'weir; fwd=miss; stored' : 'weir; fwd=miss', closed);
  }

  /** Caches between may give it to anybody. */
  get public(): boolean {
    return this.#openness.public;
  }

  /** @param closed it tells its client something of itself, so that it is for nobody else */
  #headers(age: string, cacheStatus: string, closed: boolean): Headers {
    const open = this.#openness.public && !closed;
    const headers: Headers = {
      'cache-control':
        open || !this.#openness.public ? this.#cacheControl : this.#cacheControl.replace(publicly, 'private'),
      etag: this.etag,
      vary: open ? this.#openness.vary : this.#openness.closedVary,
      age,
      'cache-status': cacheStatus,
    };
    if (open && this.#surrogateKey !== undefined) headers['surrogate-key'] = this.#surrogateKey;
    return headers;
  }
}

const publicly = /^public|, s-maxage=\d+/g;

function cacheControl(openness: Openness, { untilMs, clientUntilMs }: Provenance, bornMs: number): string {
  const sharedS = seconds(untilMs - bornMs);
  const clientS = seconds(Math.min(untilMs, clientUntilMs) - bornMs);
  if (!openness.public) return `private, max-age=${clientS}`;
  return clientS === sharedS ? `public, max-age=${sharedS}` : `public, max-age=${clientS}, s-maxage=${sharedS}`;
}

/** HTTP counts in whole ones, and less than one is no age. */
function seconds(ms: number): number {
  return Math.max(0, Math.ceil(ms / 1000));
}

/** As Fastly and others read it: names with spaces between. */
function surrogateKey(tags: ReadonlySet<string> | undefined): string | undefined {
  if (!tags) return undefined;
  let text = '';
  for (const tag of tags) {
    if (!/^[\x21-\x7e]+$/.test(tag)) continue;
    if (text.length + tag.length >= maxSurrogateKey) break;
    text += text === '' ? tag : ` ${tag}`;
  }
  return text === '' ? undefined : text;
}
