import { AsyncLocalStorage } from 'node:async_hooks';
import type { CacheRules } from './cache/settings.ts';
import type { Reading, StaleAnswer } from './cache/reading.ts';

/** What SDL says of storing what a field is made of. */
export interface FieldCaching {
  /** In place of what the upstream's settings say, key by key; where the upstream itself says nothing. */
  readonly rules: CacheRules;
  /** Of an answer of which nobody says how long it is fresh: it is as fresh as what it is a part of. */
  readonly inherits: boolean;
}

/** What a call is made for: a field, or a loader's batch for many. */
export interface Purpose {
  /** `Type.field`, or the loader's name. */
  readonly name: string;
  readonly caching: FieldCaching | undefined;
  /** What is asked may depend on who asks, since that was read: whatever SDL says, it is for nobody else. */
  personal: boolean;
  /** Told of the answer to each read; of nothing where that is for nobody else. */
  answered(reading: Reading | undefined): void;
  /** Told of the bytes of each answer before they are read as JSON, where it matters how they are written. */
  wrote?(json: Buffer): void;
  /** Told instead where a read failed, and an old answer stood in. */
  stoodIn(answer: StaleAnswer): void;
}

const current = new AsyncLocalStorage<Purpose>();

/** Runs what may call upstreams: its calls, whenever it makes them, are for this purpose. */
export function withPurpose<Given extends unknown[], Result>(
  purpose: Purpose,
  run: (...given: Given) => Result,
  ...given: Given
): Result {
  return current.run(purpose, run, ...given);
}

export function currentPurpose(): Purpose | undefined {
  return current.getStore();
}

/** What may be done for both: the shorter time, the fewer readers. */
export function strictest(one: FieldCaching | undefined, other: FieldCaching | undefined): FieldCaching | undefined {
  if (one === other) return one;
  const a = one ?? unsaid;
  const b = other ?? unsaid;
  return {
    rules: {
      ...least('ttl', a.rules.ttl, b.rules.ttl),
      ...least('staleIfError', a.rules.staleIfError, b.rules.staleIfError),
      ...narrower(a.rules.scope, b.rules.scope),
    },
    inherits: a.inherits && b.inherits,
  };
}

const unsaid: FieldCaching = { rules: {}, inherits: false };

function least(key: 'ttl' | 'staleIfError', a: number | undefined, b: number | undefined): CacheRules {
  return a === undefined || b === undefined ? {} : { [key]: Math.min(a, b) };
}

function narrower(a: CacheRules['scope'], b: CacheRules['scope']): CacheRules {
  if (a === 'subject' || b === 'subject') return { scope: 'subject' };
  return a !== undefined && a === b ? { scope: a } : {};
}
