import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import type { Clock } from '#core/clock.ts';
import { duration, method, name, network } from '#upstreams/fields.ts';
import { newApiKey, prefixOf } from './format.ts';
import type { KeyRecord } from './key-record.ts';
import type { KeptKey, KeyStore } from './key-store.ts';

const line = (max: number) =>
  z
    .string()
    .trim()
    .max(max)
    .regex(/^\P{Cc}*$/u, 'has control characters');

const longest = 10 * 365 * 86_400_000;

/** What may be said of a key that is to be issued. */
export const issueSchema = z.strictObject({
  consumer: name().refine((id) => id !== 'anonymous', { error: 'is the name of who shows no credential' }),
  name: line(128).default(''),
  scopes: z
    .array(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/, 'is no scope (RFC 6749 §3.3)'))
    .max(200)
    .default([]),
  methods: z.array(method()).max(20).default([]),
  allowIps: z.array(network()).max(200).default([]),
  expiresIn: duration({ minMs: 60_000, maxMs: longest }).optional(),
  by: line(128).default(''),
});

export const rotateSchema = z.strictObject({
  /** How long both keys are good. */
  overlap: duration({ minMs: 0, maxMs: 365 * 86_400_000 }).prefault('24h'),
  by: line(128).default(''),
});

export type IssueRequest = z.output<typeof issueSchema>;
export type RotateRequest = z.output<typeof rotateSchema>;

/** A key as operators see it; the key itself is only in the answer that issued it. */
export interface KeyStatus {
  readonly id: string;
  readonly prefix: string;
  readonly consumer: string;
  readonly name: string;
  readonly scopes: readonly string[];
  readonly methods: readonly string[];
  readonly allowIps: readonly string[];
  readonly state: 'active' | 'expired' | 'revoked';
  readonly createdAt: string;
  readonly createdBy: string;
  readonly expiresAt: string | undefined;
  readonly revokedAt: string | undefined;
}

export interface IssuedKey extends KeyStatus {
  /** Shown this once; nobody can show it again. */
  readonly key: string;
}

export interface KeyUsage extends KeyStatus {
  readonly uses: number;
  readonly lastUsedAt: string | undefined;
}

/** The life of issued keys, for whoever administers them. */
export class KeyAdministration {
  readonly #store: KeyStore;
  readonly #clock: Clock;

  constructor(store: KeyStore, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** @throws {StoreUnavailable} and may have issued it all the same; nobody knows the key then */
  async issue({ expiresIn, by, ...said }: IssueRequest): Promise<IssuedKey> {
    const now = this.#clock.epochMs();
    return this.#put({
      ...said,
      id: newId(),
      createdMs: now,
      createdBy: by,
      ...(expiresIn !== undefined && { expiresMs: now + expiresIn }),
    });
  }

  async list(consumer?: string): Promise<readonly KeyStatus[]> {
    const kept = await this.#store.list();
    return kept
      .map(({ record }) => this.#status(record))
      .filter((key) => consumer === undefined || key.consumer === consumer)
      .toSorted((a, b) => a.consumer.localeCompare(b.consumer) || a.createdAt.localeCompare(b.createdAt));
  }

  /** Issues another key with the same rights; the old one goes on working for a while. @throws {WeirError} `ROUTE_NOT_FOUND` */
  async rotate(id: string, { overlap, by }: RotateRequest): Promise<IssuedKey> {
    const old = await this.#store.byId(id);
    const now = this.#clock.epochMs();
    // The new one first: with the old one gone and no new one a service would be without.
    const { expiresMs, revokedMs: _, ...rights } = old.record;
    const lifetime = expiresMs === undefined ? undefined : expiresMs - old.record.createdMs;
    const issued = await this.#put({
      ...rights,
      id: newId(),
      createdMs: now,
      createdBy: by,
      ...(lifetime !== undefined && { expiresMs: now + lifetime }),
    });
    await this.#change(old, { expiresMs: Math.min(expiresMs ?? Number.POSITIVE_INFINITY, now + overlap) });
    return issued;
  }

  /** @throws {WeirError} `ROUTE_NOT_FOUND` */
  async revoke(id: string): Promise<KeyStatus> {
    const kept = await this.#store.byId(id);
    if (kept.record.revokedMs !== undefined) return this.#status(kept.record);
    return this.#change(kept, { revokedMs: this.#clock.epochMs() });
  }

  /** @throws {WeirError} `ROUTE_NOT_FOUND` */
  async usage(id: string): Promise<KeyUsage> {
    const [{ record }, { count, lastUsedMs }] = await Promise.all([this.#store.byId(id), this.#store.usesOf(id)]);
    return { ...this.#status(record), uses: count, lastUsedAt: lastUsedMs === 0 ? undefined : iso(lastUsedMs) };
  }

  async #put(record: Omit<KeyRecord, 'prefix'>): Promise<IssuedKey> {
    const { key, hash } = newApiKey();
    const full = { ...record, prefix: prefixOf(key) };
    await this.#store.put({ hash, record: full });
    return { ...this.#status(full), key };
  }

  async #change({ hash, record }: KeptKey, change: Partial<KeyRecord>): Promise<KeyStatus> {
    const changed = { ...record, ...change };
    await this.#store.put({ hash, record: changed });
    return this.#status(changed);
  }

  #status({ createdMs, createdBy, expiresMs, revokedMs, ...rest }: KeyRecord): KeyStatus {
    const expired = expiresMs !== undefined && expiresMs <= this.#clock.epochMs();
    return {
      ...rest,
      state: revokedMs !== undefined ? 'revoked' : expired ? 'expired' : 'active',
      createdAt: iso(createdMs),
      createdBy,
      expiresAt: expiresMs === undefined ? undefined : iso(expiresMs),
      revokedAt: revokedMs === undefined ? undefined : iso(revokedMs),
    };
  }
}

function newId(): string {
  return `key_${randomBytes(6).toString('hex')}`;
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
