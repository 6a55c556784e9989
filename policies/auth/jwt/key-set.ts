import { importJWK, type CryptoKey, type JWK } from 'jose';
import type { Clock } from '#core/clock.ts';
import { readOwn } from '#upstreams/own-read.ts';
import type { Upstream } from '#upstreams/upstream.ts';

/** One public key of an issuer. */
export interface VerificationKey {
  readonly kid: string | undefined;
  readonly alg: string;
  readonly key: CryptoKey;
  /** The public key as text, to tell a key that stays from another of its name. */
  readonly material: string;
  /** It has left the set: what it signed counts no more. */
  retired: boolean;
}

export interface KeySetOptions {
  readonly issuer: string;
  readonly algorithms: readonly string[];
  readonly refreshMs: number;
  readonly keepMs: number;
  readonly connect: (url: URL) => Upstream;
  readonly jwks: string | undefined;
  readonly clock: Clock;
}

/** Between two reads of the set, however many unknown keys are asked for. */
const minIntervalMs = 1_000;

/** How long a key that was not in the set is known not to be. */
const unknownForMs = 5_000;

const maxUnknown = 1_000;

const maxKeys = 100;

/**
 * The keys of one issuer, as last read. A token with a key that is not known waits for one read, which all such tokens
 * share: a key that is new is found at once, and a thousand that do not exist cost one read a second.
 */
export class KeySet {
  readonly #options: KeySetOptions;
  #keys: VerificationKey[] = [];
  /** Monotonic; of the last read that succeeded, and of the last that was begun. */
  #readMs = Number.NEGATIVE_INFINITY;
  #beganMs = Number.NEGATIVE_INFINITY;
  /** The read under way, and the one that comes after it. */
  #reading: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #failure: unknown;
  #jwks: URL | undefined;
  readonly #unknown = new Map<string, number>();

  constructor(options: KeySetOptions) {
    this.#options = options;
    this.#jwks = options.jwks === undefined ? undefined : new URL(options.jwks);
  }

  /** Why the last read failed; undefined when it did not. */
  get failure(): unknown {
    return this.#failure;
  }

  /** Reads the set when it is due, without waiting for it. */
  refresh(): void {
    const now = this.#options.clock.monotonicMs();
    if (now - this.#readMs < this.#options.refreshMs || now - this.#beganMs < minIntervalMs) return;
    this.#read().catch(noted);
  }

  /**
   * The key that a token's header names. A token without `kid` is tried with the one key that fits, if it is the only one.
   * @throws {WeirError} when the key is not known and the issuer cannot be asked
   */
  find(kid: string | undefined, alg: string): VerificationKey | undefined | Promise<VerificationKey | undefined> {
    this.refresh();
    const key = this.#known(kid, alg);
    if (key) return key;
    const unknownSince = this.#unknown.get(name(kid, alg));
    if (unknownSince !== undefined && this.#options.clock.monotonicMs() - unknownSince < unknownForMs) return undefined;
    return this.#search(kid, alg);
  }

  async #search(kid: string | undefined, alg: string): Promise<VerificationKey | undefined> {
    // The read under way, most likely the first of all, may bring it; only then another is asked for.
    await this.#reading?.catch(noted);
    let key = this.#known(kid, alg);
    if (key) return key;
    await this.#read();
    key = this.#known(kid, alg);
    if (!key) {
      if (this.#unknown.size >= maxUnknown) this.#unknown.clear();
      this.#unknown.set(name(kid, alg), this.#options.clock.monotonicMs());
    }
    return key;
  }

  #known(kid: string | undefined, alg: string): VerificationKey | undefined {
    if (this.#options.clock.monotonicMs() - this.#readMs > this.#options.keepMs + this.#options.refreshMs)
      return undefined;
    const fitting = this.#keys.filter((key) => key.alg === alg && (kid === undefined || key.kid === kid));
    return fitting.length === 1 || kid !== undefined ? fitting[0] : undefined;
  }

  /** A read that begins from now on: one that is under way may have missed what is new. */
  #read(): Promise<void> {
    return (this.#next ??= this.#readNext());
  }

  async #readNext(): Promise<void> {
    await this.#reading?.catch(noted);
    const waitMs = this.#beganMs + minIntervalMs - this.#options.clock.monotonicMs();
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
    this.#next = undefined;
    this.#reading = this.#readNow();
    await this.#reading;
  }

  async #readNow(): Promise<void> {
    const { clock, connect } = this.#options;
    this.#beganMs = clock.monotonicMs();
    try {
      this.#jwks ??= await this.#discover();
      const { pathname, search } = this.#jwks;
      await this.#take(await readOwn(connect(this.#jwks), { method: 'GET', path: pathname + search }));
      this.#readMs = clock.monotonicMs();
      this.#failure = undefined;
    } catch (error) {
      this.#failure = error;
      throw error;
    }
  }

  /** OpenID Connect Discovery 1.0 §4, RFC 8414 §3.3: the document must name the issuer it was found under. */
  async #discover(): Promise<URL> {
    const { issuer, connect } = this.#options;
    const base = new URL(issuer);
    const path = `${base.pathname.replace(/\/$/, '')}/.well-known/openid-configuration`;
    const document = (await readOwn(connect(base), { method: 'GET', path })) as Readonly<
      Record<string, unknown>
    > | null;
    if (document?.issuer !== issuer) throw new Error(`the discovery document of ${issuer} names another issuer`);
    if (typeof document.jwks_uri !== 'string') throw new Error(`the discovery document of ${issuer} has no jwks_uri`);
    const jwks = new URL(document.jwks_uri);
    if (jwks.protocol !== base.protocol && jwks.protocol !== 'https:')
      throw new Error(`the keys of ${issuer} are not at an https URL`);
    return jwks;
  }

  async #take(answer: unknown): Promise<void> {
    const listed = (answer as { keys?: unknown } | null)?.keys;
    if (!Array.isArray(listed)) throw new Error(`the key set of ${this.#options.issuer} has no keys`);
    const found: VerificationKey[] = [];
    for (const jwk of listed.slice(0, maxKeys) as JWK[]) found.push(...(await this.#import(jwk)));
    for (const key of this.#keys) {
      const still = found.findIndex(
        (other) => other.kid === key.kid && other.alg === key.alg && other.material === key.material,
      );
      if (still < 0) key.retired = true;
      else found[still] = key;
    }
    this.#keys = found;
    this.#unknown.clear();
  }

  /** RFC 7517: keys that are for something else, or of a kind that cannot verify here, are passed over. */
  async #import(jwk: JWK): Promise<VerificationKey[]> {
    if (jwk.use !== undefined && jwk.use !== 'sig') return [];
    if (jwk.key_ops !== undefined && !jwk.key_ops.includes('verify')) return [];
    const keys: VerificationKey[] = [];
    for (const alg of algorithmsOf(jwk)) {
      if (!this.#options.algorithms.includes(alg) || (jwk.alg !== undefined && jwk.alg !== alg)) continue;
      try {
        // The public part alone, whatever the issuer let slip.
        const { kty, n, e, crv, x, y } = jwk;
        const key = (await importJWK(defined({ kty, n, e, crv, x, y }), alg)) as CryptoKey;
        keys.push({ kid: jwk.kid, alg, key, material: JSON.stringify([kty, n, e, crv, x, y]), retired: false });
      } catch {
        // A key that cannot be read verifies nothing.
      }
    }
    return keys;
  }
}

/** RFC 8725 §3.1: which algorithms a key can be for follows from the key, never from the token. */
function algorithmsOf({ kty, crv }: JWK): readonly string[] {
  if (kty === 'RSA') return ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'];
  if (kty === 'EC') return { 'P-256': ['ES256'], 'P-384': ['ES384'], 'P-521': ['ES512'] }[crv ?? ''] ?? [];
  if (kty === 'OKP' && crv === 'Ed25519') return ['EdDSA'];
  return [];
}

function defined(jwk: Record<string, string | undefined>): JWK {
  return Object.fromEntries(Object.entries(jwk).filter(([, value]) => value !== undefined)) as JWK;
}

function name(kid: string | undefined, alg: string): string {
  return `${alg} ${kid ?? ''}`;
}

function noted(): void {}
