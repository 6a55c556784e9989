import { AsyncLocalStorage } from 'node:async_hooks';

/** Calls to one upstream that a field has made. */
export interface TracedCalls {
  calls: number;
  /** In thousandths of a call. */
  spent: number;
  /** Of those, the ones that ended without a whole answer, or with a status of 500 or more. */
  failed: number;
  /** Further ones that were never sent: the breaker was open, there was no place, no connection, or no time left. */
  refused: number;
  /** Of all of them together, and of the slowest. */
  ms: number;
  slowestMs: number;
}

/** A field of an operation, for all the objects that have it. */
export interface TracedField {
  /** Response keys from the root, with dots; lists have no index. */
  readonly path: string;
  /** `Type.field`. */
  readonly field: string;
  readonly byUpstream: Map<string, TracedCalls>;
}

/** Where calls are counted that no field has made. */
const nowhere = '';

const current = new AsyncLocalStorage<TracedField>();

/**
 * Which field of an operation made which calls, where somebody wants to know. A loader's call is that of the field whose key
 * began the batch. Bounded by the fields of the document.
 */
export class CallTrace {
  readonly fields = new Map<string, TracedField>();

  /** Runs what answers a field, as a part of it. */
  within<T>(path: string, field: string, run: () => T): T {
    return current.run(this.#field(path, field), run);
  }

  /** Where a call that begins now is counted; to be filled in when it has ended. */
  calls(upstream: string): TracedCalls {
    const { byUpstream } = current.getStore() ?? this.#field(nowhere, nowhere);
    let traced = byUpstream.get(upstream);
    if (!traced)
      byUpstream.set(upstream, (traced = { calls: 0, spent: 0, failed: 0, refused: 0, ms: 0, slowestMs: 0 }));
    return traced;
  }

  #field(path: string, field: string): TracedField {
    const key = `${path} ${field}`;
    let traced = this.fields.get(key);
    if (!traced) this.fields.set(key, (traced = { path, field, byUpstream: new Map() }));
    return traced;
  }
}
