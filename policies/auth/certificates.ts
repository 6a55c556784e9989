import type { ClientCertificate } from '#core/client-certificate.ts';
import { anonymous } from '#core/identity.ts';
import type { Clock } from '#core/clock.ts';
import { InvalidCredential } from './invalid-credential.ts';
import type { Consumers } from './consumers.ts';
import type { Principal } from './principal.ts';
import type { AuthSettings } from './settings.ts';

/** Client certificates as credentials, where nothing else is shown. */
export class Certificates {
  readonly #subject: NonNullable<AuthSettings['mtls']>['subject'];
  readonly #consumers: Consumers;
  readonly #clock: Clock;
  /** A connection shows the same one with every request. */
  readonly #known = new WeakMap<ClientCertificate, Principal>();

  constructor({ subject }: NonNullable<AuthSettings['mtls']>, consumers: Consumers, clock: Clock) {
    this.#subject = subject;
    this.#consumers = consumers;
    this.#clock = clock;
  }

  /** @throws {InvalidCredential} for one that names no consumer */
  verify(certificate: ClientCertificate): Principal {
    if (certificate.expiresMs <= this.#clock.epochMs()) throw new InvalidCredential('it has expired');
    let principal = this.#known.get(certificate);
    if (!principal) {
      principal = this.#read(certificate);
      this.#known.set(certificate, principal);
    }
    return principal;
  }

  #read(certificate: ClientCertificate): Principal {
    const known = this.#consumers.withCertificate(certificate.fingerprint);
    const consumer = known?.id ?? this.#nameIn(certificate);
    if (consumer === undefined || consumer === anonymous.consumer || !plain.test(consumer))
      throw new InvalidCredential('it names no consumer');
    const said = {
      subject: undefined,
      tier: undefined,
      roles: [],
      scopes: this.#consumers.named(consumer)?.scopes ?? [],
    };
    const rest = { credential: 'mtls', claims: {}, expiresMs: certificate.expiresMs } as const;
    return { identity: this.#consumers.identityOf(consumer, said, rest), holds: () => true, boundTo: undefined };
  }

  /** Of several names none is the one. */
  #nameIn({ commonName, names }: ClientCertificate): string | undefined {
    if (this.#subject === 'CN') return commonName;
    if (this.#subject === 'fingerprint') return undefined;
    const list = names[this.#subject];
    return list.length === 1 ? list[0] : undefined;
  }
}

const plain = /^[\x21-\x2b\x2d-\x7e]{1,256}$/;
