import { WeirError } from '#core/errors.ts';
import type { SharedStore, StoreScript } from '#core/shared-store.ts';
import { readRecord, type KeyRecord } from './key-record.ts';

/** A key that is kept, with the hash it is found by. */
export interface KeptKey {
  readonly hash: string;
  readonly record: KeyRecord;
}

export interface KeyUse {
  readonly id: string;
  readonly count: number;
  readonly lastUsedMs: number;
}

/** The channel on which instances are told of a key, by its hash, that is not what it was. */
export const keysChannel = 'keys';

/**
 * The name of a key is taken together with the record under its hash, and everybody is told: one step, so that nobody can
 * find the one without the other.
 */
const put: StoreScript = {
  name: 'put-key',
  lua: `redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('HSET', KEYS[2], ARGV[3], ARGV[1])
redis.call('PUBLISH', ARGV[4], ARGV[1])
return 1`,
};

const use: StoreScript = {
  name: 'use-keys',
  lua: `for i = 1, #ARGV, 3 do
  redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1])
  local last = tonumber(redis.call('HGET', KEYS[2], ARGV[i]) or '0')
  if tonumber(ARGV[i + 2]) > last then redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 2]) end
end
return 1`,
};

/** Issued keys in the store that instances share. One hash tag, so that a cluster keeps them in one place. */
export class KeyStore {
  readonly #store: SharedStore;
  readonly #byHash: string;
  readonly #byId: string;
  readonly #counts: string;
  readonly #lastUsed: string;

  constructor(store: SharedStore) {
    this.#store = store;
    const tagged = `${store.prefix}{keys}:`;
    this.#byHash = `${tagged}by-hash`;
    this.#byId = `${tagged}by-id`;
    this.#counts = `${tagged}counts`;
    this.#lastUsed = `${tagged}last-used`;
  }

  /** @throws {StoreUnavailable} */
  async find(hash: string): Promise<KeyRecord | undefined> {
    return readRecord(await this.#store.call('HGET', this.#byHash, hash));
  }

  async put({ hash, record }: KeptKey): Promise<void> {
    const channel = this.#store.prefix + keysChannel;
    await this.#store.run(put, [this.#byHash, this.#byId], [hash, JSON.stringify(record), record.id, channel]);
  }

  /** @throws {WeirError} `ROUTE_NOT_FOUND` when there is no such key */
  async byId(id: string): Promise<KeptKey> {
    const hash = await this.#store.call('HGET', this.#byId, id);
    const record = typeof hash === 'string' ? await this.find(hash) : undefined;
    if (!record) throw new WeirError('ROUTE_NOT_FOUND', { detail: `There is no key '${id}'.` });
    return { hash: hash as string, record };
  }

  async list(): Promise<readonly KeptKey[]> {
    const kept: KeptKey[] = [];
    let cursor = '0';
    do {
      const [next, entries] = (await this.#store.call('HSCAN', this.#byHash, cursor, 'COUNT', 500)) as [
        string,
        string[],
      ];
      for (let index = 0; index + 1 < entries.length; index += 2) {
        const record = readRecord(entries[index + 1]);
        if (record) kept.push({ hash: entries[index]!, record });
      }
      cursor = next;
    } while (cursor !== '0');
    return kept;
  }

  async addUses(uses: readonly KeyUse[]): Promise<void> {
    const args = uses.flatMap(({ id, count, lastUsedMs }) => [id, count, lastUsedMs]);
    await this.#store.run(use, [this.#counts, this.#lastUsed], args);
  }

  async usesOf(id: string): Promise<KeyUse> {
    const [count, last] = await Promise.all([
      this.#store.call('HGET', this.#counts, id),
      this.#store.call('HGET', this.#lastUsed, id),
    ]);
    return { id, count: Number(count ?? 0), lastUsedMs: Number(last ?? 0) };
  }
}
