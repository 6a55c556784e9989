import { hash } from 'node:crypto';
import type { Clock } from '#core/clock.ts';
import { WeirError } from '#core/errors.ts';
import { anonymous } from '#core/identity.ts';
import { readOwn } from '#upstreams/own-read.ts';
import type { Upstream } from '#upstreams/upstream.ts';
import type { Consumers } from './consumers.ts';
import { InvalidCredential } from './invalid-credential.ts';
import { readClaims } from './jwt/claims.ts';
import { bindingOf, type Principal } from './principal.ts';
import type { IntrospectionSettings } from './settings.ts';

/** What the server said of a token: who shows it, or that it is no good. */
interface Answer {
  readonly principal: Principal | undefined;
  /** Milliseconds since the epoch until which that is believed. */
  readonly untilMs: number;
}

const maxTokenChars = 4_096;

/** Opaque tokens as credentials: the authorization server is asked about each (RFC 7662), and its answer kept briefly. */
export class Introspection {
  readonly #settings: IntrospectionSettings;
  readonly #connect: (url: URL) => Upstream;
  readonly #consumers: Consumers;
  readonly #maxKnown: number;
  readonly #clock: Clock;
  readonly #url: URL;
  readonly #headers: Readonly<Record<string, string>>;
  /** By digest of the token; a Map keeps the order of insertion, and what is used is inserted anew. */
  readonly #known = new Map<string, Answer>();
  readonly #asking = new Map<string, Promise<Answer>>();

  constructor(
    settings: IntrospectionSettings,
    connect: (url: URL) => Upstream,
    consumers: Consumers,
    maxKnown: number,
    clock: Clock,
  ) {
    this.#settings = settings;
    this.#connect = connect;
    this.#consumers = consumers;
    this.#maxKnown = maxKnown;
    this.#clock = clock;
    this.#url = new URL(settings.url);
    this.#headers = {
      'content-type': 'application/x-www-form-urlencoded',
      authorization: basic(settings.clientId, settings.clientSecret),
    };
  }

  /**
   * @throws {InvalidCredential} for a token that is not active
   * @throws {WeirError} `AUTH_UNAVAILABLE` when the server does not say; a door that cannot be checked stays shut
   */
  verify(token: string): Principal | Promise<Principal> {
    if (token.length > maxTokenChars) throw new InvalidCredential('it is too long');
    const digest = hash('sha256', token, 'base64');
    const known = this.#known.get(digest);
    if (known && known.untilMs > this.#clock.epochMs()) return principalOf(known);
    let asking = this.#asking.get(digest);
    if (!asking) {
      asking = this.#ask(token, digest).finally(() => this.#asking.delete(digest));
      this.#asking.set(digest, asking);
    }
    return asking.then(principalOf);
  }

  async #ask(token: string, digest: string): Promise<Answer> {
    const body = Buffer.from(new URLSearchParams({ token, token_type_hint: 'access_token' }).toString());
    const { pathname, search } = this.#url;
    let said: unknown;
    try {
      const request = { method: 'POST', path: pathname + search, headers: this.#headers, body } as const;
      said = await readOwn(this.#connect(this.#url), request);
    } catch (cause) {
      throw new WeirError('AUTH_UNAVAILABLE', { retryAfterS: 1, cause });
    }
    const answer = this.#read(said, token);
    this.#keep(digest, answer);
    return answer;
  }

  /** RFC 7662 §2.2. Whatever else the server answers, nobody is let in by it. */
  #read(said: unknown, token: string): Answer {
    const { ttl, negativeTtl, claims: names, audience } = this.#settings;
    const now = this.#clock.epochMs();
    const refused = { principal: undefined, untilMs: now + negativeTtl };
    if (typeof said !== 'object' || said === null) throw new WeirError('AUTH_UNAVAILABLE', { retryAfterS: 1 });
    const claims = said as Readonly<Record<string, unknown>>;
    if (claims.active !== true) return refused;
    const expiresMs = typeof claims.exp === 'number' ? claims.exp * 1000 : Number.POSITIVE_INFINITY;
    if (expiresMs <= now || (typeof claims.nbf === 'number' && claims.nbf * 1000 > now)) return refused;
    if (audience && ![claims.aud].flat().some((name) => audience.includes(String(name)))) return refused;
    const { consumer, ...rest } = readClaims(claims, names);
    if (consumer === undefined || consumer === anonymous.consumer) return refused;
    const identity = this.#consumers.identityOf(consumer, rest, { credential: 'introspection', claims, expiresMs });
    // Asked again while a connection lives on it, at most once in `ttl`.
    const holds = async () => this.#isActive(token);
    return { principal: { identity, holds, boundTo: bindingOf(claims) }, untilMs: Math.min(now + ttl, expiresMs) };
  }

  async #isActive(token: string): Promise<boolean> {
    try {
      await this.verify(token);
      return true;
    } catch (error) {
      if (error instanceof InvalidCredential) return false;
      throw error;
    }
  }

  #keep(digest: string, answer: Answer): void {
    this.#known.delete(digest);
    this.#known.set(digest, answer);
    if (this.#known.size <= this.#maxKnown) return;
    for (const oldest of this.#known.keys()) {
      this.#known.delete(oldest);
      return;
    }
  }
}

function principalOf({ principal }: Answer): Principal {
  if (!principal) throw new InvalidCredential('it is not active');
  return principal;
}

/** RFC 6749 §2.3.1: both parts are form-encoded before they are joined. */
function basic(id: string, secret: string): string {
  return `Basic ${Buffer.from(`${encoded(id)}:${encoded(secret)}`).toString('base64')}`;
}

function encoded(text: string): string {
  return new URLSearchParams({ '': text }).toString().slice(1);
}
