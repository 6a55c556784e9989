import { audienceOf, type Audience } from './audience.ts';
import type { Entry } from './entry.ts';
import type { MemoryStore } from './memory-store.ts';

/** What is stored of a path is asked for. Plain data: it crosses processes. */
export interface StoredQuestion {
  /** Of one upstream; of all where it is left out. */
  readonly upstream?: string;
  /** As the upstream is asked for it: whatever is stored of it with any query. */
  readonly path: string;
}

/** A stored answer, for operators: all but its content, and nothing that says who has asked. */
export interface StoredAnswer {
  readonly upstream: string;
  /** Path and query. */
  readonly url: string;
  readonly status: number;
  /** Seconds. */
  readonly age: number;
  /** Seconds for which it is still fresh (RFC 9211 §2.5); of a stale one, negative or 0. */
  readonly ttl: number;
  /** Of its content. */
  readonly bytes: number;
  readonly tags: readonly string[];
  readonly vary: readonly string[];
  /** Whom it may be given to. */
  readonly audience: Audience;
  /** Names of the fields by which the upstream was shown who asked. */
  readonly shown: readonly string[];
}

/** More than a person reads are not told one by one. */
const maxAnswers = 100;

export interface StoredAnswers {
  /** The first hundred of each process. */
  readonly answers: readonly StoredAnswer[];
  readonly total: number;
}

/** What is stored of a path in this process's memory. */
export function storedAnswers(store: MemoryStore, { upstream, path }: StoredQuestion, nowMs: number): StoredAnswers {
  const answers: StoredAnswer[] = [];
  let total = 0;
  for (const name of store.upstreams) {
    if (upstream !== undefined && name !== upstream) continue;
    for (const entry of store.shelf(name).storedOf(path))
      if (++total <= maxAnswers) answers.push(answerOf(name, entry, nowMs));
  }
  return { answers, total };
}

export function together(parts: readonly StoredAnswers[]): StoredAnswers {
  return {
    answers: parts.flatMap(({ answers }) => answers),
    total: parts.reduce((sum, { total }) => sum + total, 0),
  };
}

function answerOf(upstream: string, entry: Entry, nowMs: number): StoredAnswer {
  const { target, partition, status, body, tags, vary, shown, terms } = entry;
  const age = Math.floor(entry.ageMs(nowMs) / 1000);
  return {
    upstream,
    url: target,
    status,
    age,
    ttl: (terms.noCache ? 0 : Math.ceil(terms.lifetimeMs / 1000)) - age,
    bytes: body.length,
    tags,
    vary,
    audience: audienceOf(partition),
    shown,
  };
}
