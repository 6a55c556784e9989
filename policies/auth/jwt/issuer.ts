import { errors, jwtVerify, type JWTPayload } from 'jose';
import { WeirError } from '#core/errors.ts';
import type { Clock } from '#core/clock.ts';
import { InvalidCredential } from '../invalid-credential.ts';
import type { IssuerSettings } from '../settings.ts';
import type { KeySet, VerificationKey } from './key-set.ts';
import type { TokenHead } from './token-head.ts';

export interface VerifiedToken {
  readonly claims: JWTPayload;
  readonly key: VerificationKey;
}

/** One issuer: what its tokens must be, and the keys to check them with. */
export class Issuer {
  readonly settings: IssuerSettings;
  readonly keys: KeySet;
  readonly #clock: Clock;

  constructor(settings: IssuerSettings, keys: KeySet, clock: Clock) {
    this.settings = settings;
    this.keys = keys;
    this.#clock = clock;
  }

  /**
   * @throws {InvalidCredential} for a token that is not to be believed
   * @throws {WeirError} `AUTH_UNAVAILABLE` when that cannot be known now
   */
  async verify(token: string, { alg, kid }: TokenHead): Promise<VerifiedToken> {
    const { issuer, audience, algorithms, skew, typ } = this.settings;
    // RFC 8725 §3.1: before any key is looked for.
    if (!algorithms.some((name) => name === alg)) throw new InvalidCredential('its algorithm is not taken');
    const key = await this.#find(kid, alg);
    if (!key) throw new InvalidCredential('its key is not known');
    try {
      const { payload } = await jwtVerify(token, key.key, {
        issuer,
        audience,
        algorithms: [alg],
        clockTolerance: skew / 1000,
        currentDate: new Date(this.#clock.epochMs()),
        requiredClaims: ['exp'],
        ...(typ !== undefined && { typ }),
      });
      // RFC 7519 §4.1.6 leaves it open; a token from the future comes from a clock that cannot be trusted with `exp` either.
      if (payload.iat !== undefined && payload.iat * 1000 > this.#clock.epochMs() + skew)
        throw new InvalidCredential('it was issued in the future');
      return { claims: payload, key };
    } catch (error) {
      if (error instanceof InvalidCredential) throw error;
      throw new InvalidCredential(reasonOf(error));
    }
  }

  async #find(kid: string | undefined, alg: string): Promise<VerificationKey | undefined> {
    try {
      return await this.keys.find(kid, alg);
    } catch (cause) {
      throw new WeirError('AUTH_UNAVAILABLE', { retryAfterS: 1, cause });
    }
  }
}

/** In words that tell an honest client what to mend, and nobody anything of other tokens or keys. */
function reasonOf(error: unknown): string {
  if (error instanceof errors.JWTExpired) return 'it has expired';
  if (error instanceof errors.JWTClaimValidationFailed) {
    const { claim, reason } = error;
    if (claim === 'aud') return 'it is for another audience';
    if (claim === 'iss') return 'it is from another issuer';
    if (claim === 'nbf') return 'it is not valid yet';
    if (claim === 'typ') return 'it is of another type';
    return reason === 'missing' ? `it has no ${claim}` : `its ${claim} is not right`;
  }
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'its signature is wrong';
  return 'it cannot be read';
}
