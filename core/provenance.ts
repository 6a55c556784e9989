import type { Identity } from './identity.ts';
import type { Headers } from './headers.ts';

/** Something that an answer was made of. */
export interface Ingredient {
  /** Nobody has written it since. */
  holds(): boolean;
}

/** What of who asks an answer can depend on; a set of them is their sum. */
export const facets = {
  consumer: 1,
  tier: 2,
  roles: 4,
  scopes: 8,
  subject: 16,
  credential: 32,
  key: 64,
  claims: 128,
  /** The token that an upstream is shown. */
  token: 256,
} as const;

/** All that `identity: headers` shows an upstream. */
export const shownInHeaders = facets.consumer | facets.tier | facets.roles | facets.scopes | facets.subject;

/** All that code can read of an identity. */
export const wholeIdentity = shownInHeaders | facets.credential | facets.key | facets.claims;

/** An answer of more than this is not worth looking after. */
const maxIngredients = 1_000;

/**
 * What an answer of the gateway's own is made of, noted while it is made: for how long all of it is fresh, what of who asks was
 * looked at, and what makes it invalid. What is not noted here cannot be told of the answer later, so whoever cannot note
 * what it does refuses.
 */
export class Provenance {
  /** Epoch milliseconds until which all of it is fresh. Infinite: nothing has said so. */
  untilMs = Number.POSITIVE_INFINITY;
  /** The same for caches of one client alone, which some upstreams give less time. */
  clientUntilMs = Number.POSITIVE_INFINITY;
  /** A sum of {@link facets}. */
  audience = 0;
  /** Names of the request's fields that were read, lower case. */
  fields: Set<string> | undefined;
  /** Why nobody else may be given it; the first reason. */
  obstacle: string | undefined;
  readonly ingredients: Ingredient[] = [];
  tags: Set<string> | undefined;

  /** It is for this request alone. */
  refuse(obstacle: string): void {
    this.obstacle ??= obstacle;
  }

  /** @param untilMs epoch milliseconds */
  lasts(untilMs: number, clientUntilMs = untilMs): void {
    if (untilMs < this.untilMs) this.untilMs = untilMs;
    if (clientUntilMs < this.clientUntilMs) this.clientUntilMs = clientUntilMs;
  }

  takes(ingredient: Ingredient, tags: readonly string[]): void {
    if (this.ingredients.length >= maxIngredients) return this.refuse('it is made of too much');
    this.ingredients.push(ingredient);
    for (const tag of tags) (this.tags ??= new Set()).add(tag);
  }

  read(facet: number): void {
    this.audience |= facet;
  }

  readField(name: string): void {
    (this.fields ??= new Set()).add(name);
  }
}

/**
 * What these facets and fields are of one request, as a text: the same for two requests only if all of them are the same. Lengths
 * stand before values, so that no value can pose as two.
 */
export function selectedBy(
  audience: number,
  fields: readonly string[],
  { identity, headers }: { readonly identity: Identity; readonly headers: Headers },
): string {
  let text = '';
  if (audience !== 0) {
    if (audience & facets.consumer) text += sized(identity.consumer);
    if (audience & facets.tier) text += sized(identity.tier);
    if (audience & facets.roles) text += sizedAll(identity.roles);
    if (audience & facets.scopes) text += sizedAll(identity.scopes);
    if (audience & facets.subject) text += sized(identity.subject);
    if (audience & facets.credential) text += sized(identity.credential);
    if (audience & facets.key) text += sized(identity.key);
    if (audience & facets.claims) text += sized(JSON.stringify(identity.claims));
    if (audience & facets.token) text += sized(tokenOf(identity, headers));
  }
  for (const name of fields) {
    const value = headers[name];
    text += Array.isArray(value) ? sizedAll(value) : sized(value);
  }
  return text;
}

/** Only what has been verified is shown to upstreams. */
function tokenOf({ credential }: Identity, { authorization }: Headers): string | undefined {
  const verified = credential === 'jwt' || credential === 'introspection';
  return verified && typeof authorization === 'string' ? authorization : undefined;
}

function sized(text: string | undefined): string {
  return text === undefined ? '-' : `${text.length}:${text}`;
}

function sizedAll(texts: readonly string[]): string {
  let all = `${texts.length}[`;
  for (const text of texts) all += sized(text);
  return all;
}
