import { hash } from 'node:crypto';
import { anonymous } from '#core/identity.ts';
import type { Clock } from '#core/clock.ts';
import { bindingOf, type Principal } from '../principal.ts';
import { InvalidCredential } from '../invalid-credential.ts';
import type { Consumers } from '../consumers.ts';
import type { AuthSettings } from '../settings.ts';
import { readClaims } from './claims.ts';
import type { Issuer } from './issuer.ts';
import { readHead } from './token-head.ts';
import { VerifiedTokens, type TokenPrincipal } from './verified-tokens.ts';

/** JWTs as credentials. What has been verified once is known by its digest until it ends or its key leaves the set. */
export class Tokens {
  readonly #issuers: ReadonlyMap<string, Issuer>;
  readonly #verified: VerifiedTokens;
  readonly #consumers: Consumers;
  /** Tokens that are no good although they are right, by `jti` (RFC 7519 §4.1.7). */
  readonly #denied: ReadonlySet<string>;

  constructor(
    issuers: readonly Issuer[],
    consumers: Consumers,
    { tokenCache, deniedTokens }: Pick<AuthSettings, 'tokenCache' | 'deniedTokens'>,
    clock: Clock,
  ) {
    this.#denied = new Set(deniedTokens);
    this.#issuers = new Map(issuers.map((issuer) => [issuer.settings.issuer, issuer]));
    this.#consumers = consumers;
    this.#verified = new VerifiedTokens(tokenCache, clock);
  }

  /** Whether a token that showed these claims is no good any more, or never was. */
  denies({ jti }: Readonly<Record<string, unknown>>): boolean {
    return typeof jti === 'string' && this.#denied.has(jti);
  }

  /** A token that is known costs one digest and one look-up; another one a signature. */
  verify(token: string): Principal | Promise<Principal> {
    const digest = hash('sha256', token, 'base64');
    return this.#verified.get(digest) ?? this.#verify(token, digest);
  }

  async #verify(token: string, digest: string): Promise<Principal> {
    const head = readHead(token);
    const issuer = this.#issuers.get(head.issuer);
    if (!issuer) throw new InvalidCredential('it is from another issuer');
    const { claims, key } = await issuer.verify(token, head);
    if (this.denies(claims)) throw new InvalidCredential('it is withdrawn');
    const said = readClaims(claims, issuer.settings.claims);
    if (said.consumer === undefined || said.consumer === anonymous.consumer)
      throw new InvalidCredential('it names no consumer');
    const principal: TokenPrincipal = {
      identity: this.#consumers.identityOf(said.consumer, said, {
        credential: 'jwt',
        claims,
        expiresMs: claims.exp! * 1000 + issuer.settings.skew,
      }),
      holds() {
        // Who keeps coming with known tokens is what keeps the set fresh, too.
        issuer.keys.refresh();
        return !key.retired;
      },
      boundTo: bindingOf(claims),
    };
    this.#verified.add(digest, principal);
    return principal;
  }
}
