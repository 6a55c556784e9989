import type { Identity } from '#core/identity.ts';
import type { ClaimedIdentity } from './jwt/claims.ts';
import type { ConsumerSettings } from './settings.ts';

/** Of those that neither a token nor the file gives one. */
const defaultTier = 'default';

/** The consumers that the file names, and what it says of them. Others are known by their tokens alone. */
export class Consumers {
  readonly #byId: ReadonlyMap<string, ConsumerSettings>;
  readonly #byCertificate: ReadonlyMap<string, ConsumerSettings>;
  /** By hash of a key, as the file writes it. */
  readonly #byKey: ReadonlyMap<string, ConsumerSettings>;

  constructor(settings: readonly ConsumerSettings[]) {
    this.#byId = new Map(settings.map((consumer) => [consumer.id, consumer]));
    this.#byCertificate = new Map(
      settings.flatMap((consumer) => consumer.certificates.map((fingerprint) => [fingerprint, consumer])),
    );
    this.#byKey = new Map(settings.flatMap((consumer) => consumer.keys.map((key) => [key, consumer])));
  }

  named(id: string): ConsumerSettings | undefined {
    return this.#byId.get(id);
  }

  withCertificate(fingerprint: string): ConsumerSettings | undefined {
    return this.#byCertificate.get(fingerprint);
  }

  withKey(hash: string): ConsumerSettings | undefined {
    return this.#byKey.get(hash);
  }

  /** Who a verified credential shows: what it says itself, and what the file says of its consumer. */
  identityOf(
    consumer: string,
    said: Omit<ClaimedIdentity, 'consumer'>,
    rest: Pick<Identity, 'credential' | 'claims' | 'expiresMs'>,
  ): Identity {
    const known = this.#byId.get(consumer);
    return {
      consumer,
      tier: known?.tier ?? said.tier ?? defaultTier,
      roles: known ? [...new Set([...known.roles, ...said.roles])] : said.roles,
      scopes: said.scopes,
      subject: said.subject,
      ...rest,
    };
  }
}
