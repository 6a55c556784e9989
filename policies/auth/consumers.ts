import type { BlockList } from 'node:net';
import type { Identity } from '#core/identity.ts';
import { networks } from './api-keys/networks.ts';
import type { ClaimedIdentity } from './jwt/claims.ts';
import type { ConsumerSettings } from './settings.ts';

/** Of those that neither a token nor the file gives one. */
const defaultTier = 'default';

/** The consumers that the file names, and what it says of them. Others are known by their tokens alone. */
export class Consumers {
  readonly #byId: ReadonlyMap<string, ConsumerSettings>;
  readonly #networks: ReadonlyMap<string, BlockList>;
  readonly #byCertificate: ReadonlyMap<string, ConsumerSettings>;
  /** By hash of a key, as the file writes it. */
  readonly #byKey: ReadonlyMap<string, ConsumerSettings>;

  constructor(settings: readonly ConsumerSettings[]) {
    this.#byId = new Map(settings.map((consumer) => [consumer.id, consumer]));
    this.#networks = new Map(
      settings.flatMap(({ id, allowIps }) => (allowIps.length > 0 ? [[id, networks(allowIps)]] : [])),
    );
    this.#byCertificate = new Map(
      settings.flatMap((consumer) => consumer.certificates.map((fingerprint) => [fingerprint, consumer])),
    );
    this.#byKey = new Map(settings.flatMap((consumer) => consumer.keys.map((key) => [key, consumer])));
  }

  /** Whether the consumer may call from there. */
  allows(consumer: string, ip: string): boolean {
    const allowed = this.#networks.get(consumer);
    return !allowed || allowed.check(ip, ip.includes(':') ? 'ipv6' : 'ipv4');
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
    rest: Pick<Identity, 'credential' | 'key' | 'claims' | 'expiresMs'>,
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
