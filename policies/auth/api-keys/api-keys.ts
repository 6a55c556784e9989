import type { BlockList } from 'node:net';
import { WeirError } from '#core/errors.ts';
import type { Clock } from '#core/clock.ts';
import { InvalidCredential } from '../invalid-credential.ts';
import type { Consumers } from '../consumers.ts';
import type { Principal } from '../principal.ts';
import { hashOf, isApiKey } from './format.ts';
import type { IssuedKeys } from './issued-keys.ts';
import type { KeyRecord } from './key-record.ts';
import { networks } from './networks.ts';

/** Of the hash, enough to tell keys apart by. */
const keyNameLength = 24;

/** What a key may be good for depends on the request that shows it. */
export interface KeyUseCase {
  readonly method: string;
  readonly clientIp: string;
}

interface KnownKey {
  readonly principal: Principal;
  readonly allowed: BlockList | undefined;
}

/** API keys as credentials: those whose hashes the file holds, and those that were issued. */
export class ApiKeys {
  readonly #consumers: Consumers;
  readonly #issued: IssuedKeys | undefined;
  readonly #clock: Clock;
  /** Of the file, by hash: made once for each key, so that a known key costs one digest and one look-up. */
  readonly #static = new Map<string, Principal>();
  /** Of issued keys, by what is kept of them. */
  readonly #known = new WeakMap<KeyRecord, KnownKey>();

  constructor(consumers: Consumers, issued: IssuedKeys | undefined, clock: Clock) {
    this.#consumers = consumers;
    this.#issued = issued;
    this.#clock = clock;
  }

  /**
   * Looked up by its hash, so that what is compared is of no use to who measures how long it takes.
   * @throws {InvalidCredential} for a key that is not known, or not good for this
   * @throws {WeirError} `AUTH_UNAVAILABLE` when that cannot be known now
   */
  verify(key: string, use: KeyUseCase): Principal | Promise<Principal> {
    const hash = hashOf(key);
    const ours = this.#static.get(hash) ?? this.#staticKey(hash);
    if (ours) return ours;
    // A key that cannot have been issued is not worth a question.
    if (!this.#issued || !isApiKey(key)) throw unknown();
    const found = this.#issued.find(hash);
    return found instanceof Promise
      ? found.then((record) => this.#accept(record, hash, use))
      : this.#accept(found, hash, use);
  }

  #staticKey(hash: string): Principal | undefined {
    const consumer = this.#consumers.withKey(hash);
    if (!consumer) return undefined;
    const shown = this.#principal(consumer.id, hash, consumer.scopes, Number.POSITIVE_INFINITY, always);
    const principal = { ...shown, fileKey: hash };
    this.#static.set(hash, principal);
    return principal;
  }

  #accept(record: KeyRecord | undefined, hash: string, { method, clientIp }: KeyUseCase): Principal {
    if (!isIssued(record)) throw unknown();
    if (record.expiresMs !== undefined && record.expiresMs <= this.#clock.epochMs())
      throw new InvalidCredential('it has expired');
    const { principal, allowed } = this.#knownKey(record, hash);
    // Who holds a key that is not theirs need not learn that it is a good one.
    if (allowed && !allowed.check(clientIp, clientIp.includes(':') ? 'ipv6' : 'ipv4')) throw unknown();
    if (record.methods.length > 0 && !record.methods.includes(method))
      throw new WeirError('FORBIDDEN', { detail: `The key is not good for ${method}.` });
    this.#issued!.used(record.id);
    return principal;
  }

  #knownKey(record: KeyRecord, hash: string): KnownKey {
    let known = this.#known.get(record);
    if (!known) {
      const { consumer, scopes, expiresMs, allowIps } = record;
      known = {
        principal: this.#principal(consumer, hash, scopes, expiresMs ?? Number.POSITIVE_INFINITY, async () =>
          isIssued(await this.#issued!.find(hash)),
        ),
        allowed: allowIps.length > 0 ? networks(allowIps) : undefined,
      };
      this.#known.set(record, known);
    }
    return known;
  }

  #principal(
    consumer: string,
    hash: string,
    scopes: readonly string[],
    expiresMs: number,
    holds: Principal['holds'],
  ): Principal {
    const key = hash.slice(-keyNameLength);
    const said = { subject: undefined, tier: undefined, roles: [], scopes };
    return {
      identity: this.#consumers.identityOf(consumer, said, { credential: 'apiKey', key, claims: {}, expiresMs }),
      holds,
      boundTo: undefined,
    };
  }
}

function isIssued(record: KeyRecord | undefined): record is KeyRecord {
  return record !== undefined && record.revokedMs === undefined;
}

/** As long as its file serves. */
function always(): boolean {
  return true;
}

function unknown(): InvalidCredential {
  return new InvalidCredential('it is not known');
}
