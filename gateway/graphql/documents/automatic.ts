import { hash } from 'node:crypto';
import type { SharedStore, StoreScript } from '#core/shared-store.ts';
import { BoundedCache } from '#gateway/graphql/bounded-cache.ts';
import type { Prepared } from '#gateway/graphql/prepare.ts';
import type { DocumentsSettings } from './settings.ts';

interface KeptDocument {
  readonly text: string;
  readonly prepared: Prepared;
  readonly bytes: number;
}

/** Keeps a document, and lets go of those that have not been asked for the longest. */
const keepScript: StoreScript = {
  name: 'keep-document',
  lua: `redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[1])
local surplus = redis.call('ZCARD', KEYS[2]) - tonumber(ARGV[4])
if surplus > 0 then
  for _, id in ipairs(redis.call('ZRANGE', KEYS[2], 0, surplus - 1)) do redis.call('HDEL', KEYS[1], id) end
  redis.call('ZREMRANGEBYRANK', KEYS[2], 0, surplus - 1)
end
return 1`,
};

const findScript: StoreScript = {
  name: 'find-document',
  lua: `local text = redis.call('HGET', KEYS[1], ARGV[1])
if text then redis.call('ZADD', KEYS[2], 'XX', ARGV[2], ARGV[1]) end
return text`,
};

const maxMemoryBytes = 32 * 1024 ** 2;

const sha256 = /^[0-9a-f]{64}$/;

/**
 * Documents that clients have registered under their SHA-256: in this process, and where instances share a store, in that
 * one too. The store is asked for what this process does not know, and never waited for beyond its own bound.
 */
export class AutomaticDocuments {
  readonly #settings: DocumentsSettings['automatic'];
  readonly #kept: BoundedCache<KeptDocument>;
  readonly #store: SharedStore | undefined;
  readonly #keys: readonly [string, string];
  readonly #asked = new Map<string, Promise<void>>();

  constructor(settings: DocumentsSettings['automatic'], store: SharedStore | undefined) {
    const { maxEntries } = settings;
    this.#settings = settings;
    this.#kept = new BoundedCache({ maxEntries, maxBytes: maxMemoryBytes });
    this.#store = store;
    // One hash tag, so that a cluster keeps both in one place.
    const tagged = `${store?.prefix ?? ''}{documents}:`;
    this.#keys = [`${tagged}by-hash`, `${tagged}last-used`];
  }

  find(id: string): KeptDocument | undefined {
    return this.#kept.get(id);
  }

  keep(id: string, document: KeptDocument, nowMs: number): void {
    if (!this.#take(id, document)) return;
    if (!this.#store?.up) return;
    const args = [id, document.text, nowMs, this.#settings.maxEntries];
    // The next client that asks elsewhere registers it once more.
    this.#store.run(keepScript, this.#keys, args).catch(() => {});
  }

  #take(id: string, document: KeptDocument): boolean {
    if (Buffer.byteLength(document.text) > this.#settings.maxBytes) return false;
    this.#kept.add(id, document);
    return true;
  }

  /** Asks the store for a document that is not here. @returns undefined when there is nothing to wait for */
  fetch(id: string, prepare: (text: string) => KeptDocument, nowMs: number): Promise<void> | undefined {
    if (!this.#store?.up || !sha256.test(id) || this.#kept.get(id)) return undefined;
    const asked = this.#asked.get(id);
    if (asked) return asked;
    const answer = this.#ask(this.#store, id, prepare, nowMs).finally(() => this.#asked.delete(id));
    this.#asked.set(id, answer);
    return answer;
  }

  async #ask(store: SharedStore, id: string, prepare: (text: string) => KeptDocument, nowMs: number): Promise<void> {
    let text: unknown;
    try {
      text = await store.run(findScript, this.#keys, [id, nowMs]);
    } catch {
      return;
    }
    // What was changed there is no document of this id.
    if (typeof text === 'string' && hash('sha256', text) === id) this.#take(id, prepare(text));
  }
}
