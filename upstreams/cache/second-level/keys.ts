import { hash } from 'node:crypto';
import type { Partition } from '#upstreams/cache/memory-store.ts';
import { format } from './codec.ts';

/** One tenant today, besides the hosts that partitions name; it stands in every key, so that there can be others. */
const tenant = '-';

/**
 * Where what is stored lies in Redis.
 *
 * All that is stored of one path lies under one hash tag, so that a script can see it as a whole in a cluster too. What is
 * shown of clients is in no key as it is: keys are digests, 132 bits, and a record says by a longer one whose it is.
 *
 * Leases, locks, tags and the state are no answers and have no format: what one version makes invalid is so for the others.
 * Only the keys of answers carry the format of the record.
 */
export class Keys {
  readonly #root: string;
  readonly #format: number;

  /** @param version of the records that are read and written */
  constructor(prefix: string, version = format) {
    this.#root = `${prefix}${tenant}:cache`;
    this.#format = version;
  }

  /** What all instances agree on. */
  get state(): string {
    return `${this.#root}:{state}`;
  }

  path(upstream: string, path: string): PathKeys {
    return new PathKeys(`${this.#root}:{${digest(`${upstream}\n${path}`)}}`, this.#format);
  }

  /** Of one upstream: the answers that have the tag, when it was purged, and those that are to go for it. */
  tag(upstream: string, tag: string): readonly [entries: string, purged: string, doomed: string] {
    const place = `${this.#root}:{${digest(`tag\n${upstream}\n${tag}`)}}`;
    return [`${place}:tagged`, `${place}:purged`, `${place}:doomed`];
  }
}

/** Where what is stored of one path lies. */
export class PathKeys {
  /** Who asks the upstream gets it; gone, nothing that came of it counts. */
  readonly lease: string;
  readonly #place: string;
  readonly #format: number;

  constructor(place: string, version: number) {
    this.#place = place;
    this.#format = version;
    this.lease = `${place}:lease`;
  }

  /** @param epoch of the upstream: another one begins with nothing */
  entry(epoch: string, target: string, partition: Partition): string {
    return `${this.#place}:${this.#format}:${digest(`${epoch}\n${target}\n${partition}`)}`;
  }
}

/** Of several answers to one request line, that for these request fields. */
export function variant(entry: string, vary: readonly string[], selected: string): string {
  return `${entry}:${digest(`${vary.join()}\n${selected}`)}`;
}

/** Held by who fetches a fresh one in the place of a stale one. */
export function lock(entry: string): string {
  return `${entry}:lock`;
}

/** Whose answer it is to what. 32 bytes. */
export function identityOf(
  upstream: string,
  target: string,
  partition: Partition,
  vary: readonly string[] = [],
  selected = '',
): Buffer {
  // With its length before it, what follows cannot be taken for a part of it.
  const parts = `${upstream}\n${target}\n${partition.length}\n${partition}\n${vary.join()}\n${selected}`;
  return hash('sha256', parts, 'buffer');
}

function digest(text: string): string {
  return hash('sha256', text, 'base64url').slice(0, 22);
}
