import { hash } from 'node:crypto';
import type { Clock } from '#core/clock.ts';
import type { RequestContext } from '#core/context.ts';
import { WeirError } from '#core/errors.ts';
import type { Logger } from '#core/log.ts';
import type { Counter, Meter } from '#core/meter.ts';
import type { SharedStore } from '#core/shared-store.ts';
import type { GraphqlParameters } from '#gateway/graphql/parameters.ts';
import type { Prepared, Preparer } from '#gateway/graphql/prepare.ts';
import type { GraphqlSettings } from '#gateway/graphql/settings.ts';
import { AutomaticDocuments } from './automatic.ts';
import type { TrustedDocuments } from './trusted.ts';
import { UnknownDocuments } from './unknown.ts';

export interface DocumentsOptions {
  readonly settings: GraphqlSettings;
  readonly preparer: Preparer;
  readonly trusted: TrustedDocuments;
  readonly store: SharedStore | undefined;
  readonly clock: Clock;
  readonly log: Logger;
  readonly meter: Meter;
}

/** How a document came to be run, or not to be. */
type Source = 'trusted' | 'automatic' | 'text' | 'refused';

/**
 * Finds the document that a request means, by its text or by an id, and says whether it may be run at all. A known id is one
 * look-up: what is kept under it is the prepared document.
 */
export class Documents {
  readonly #settings: GraphqlSettings;
  readonly #preparer: Preparer;
  readonly #store: SharedStore | undefined;
  readonly #clock: Clock;
  readonly #unknown: UnknownDocuments;
  readonly #counts: Readonly<Record<Source, Counter>>;
  #trusted: TrustedDocuments;
  #automatic: AutomaticDocuments;

  constructor({ settings, preparer, trusted, store, clock, log, meter }: DocumentsOptions) {
    this.#settings = settings;
    this.#preparer = preparer;
    this.#trusted = trusted;
    this.#store = store;
    this.#clock = clock;
    this.#unknown = new UnknownDocuments(log);
    this.#automatic = new AutomaticDocuments(settings.documents.automatic, store);
    const family = meter.counter('weir.graphql.documents', {
      description: 'GraphQL documents that were asked for, by how they were found',
      unit: '{document}',
    });
    const counter = (source: Source) => family.with({ 'weir.document.source': source });
    this.#counts = {
      trusted: counter('trusted'),
      automatic: counter('automatic'),
      text: counter('text'),
      refused: counter('refused'),
    };
  }

  /** Goes on with other settings and what is trusted under them. What clients registered they register again. */
  configure(trusted: TrustedDocuments): void {
    this.#trusted = trusted;
    this.#preparer.forget();
    this.#automatic = new AutomaticDocuments(this.#settings.documents.automatic, this.#store);
  }

  close(): void {
    this.#unknown.flush();
  }

  /**
   * Gets a registered document from the store that instances share, where this process does not know it.
   * @returns undefined when there is nothing to wait for
   */
  fetch({ query, id, hashed }: GraphqlParameters): Promise<void> | undefined {
    if (id === undefined || query !== undefined || !hashed || !this.#registers || this.#trusted.byId(id))
      return undefined;
    return this.#automatic.fetch(id, (text) => ({ text, ...this.#preparer.measured(text) }), this.#clock.epochMs());
  }

  /** What has been prepared already, without a word about whether it may run. */
  known({ query, id }: GraphqlParameters): Prepared | undefined {
    if (id !== undefined) return (this.#trusted.byId(id) ?? this.#automatic.find(id))?.prepared;
    if (query === undefined) return undefined;
    const trusted = this.#trusted.size > 0 ? this.#trusted.byText(query) : undefined;
    return trusted ? trusted.prepared : this.#preparer.known(query);
  }

  /** @throws {WeirError} for what is not known, or may not be run */
  prepare(parameters: GraphqlParameters, context: RequestContext): Prepared {
    try {
      return parameters.id === undefined
        ? this.#byText(parameters.query ?? '', context)
        : this.#byId(parameters.id, parameters, context);
    } catch (error) {
      this.#counts.refused.add(1);
      throw error;
    }
  }

  #byText(text: string, context: RequestContext): Prepared {
    const trusted = this.#trusted.size > 0 ? this.#trusted.byText(text) : undefined;
    if (trusted) return this.#run(trusted.prepared, 'trusted');
    this.#refuseUntrusted();
    return this.#runUnknown(this.#preparer.prepare(text), 'text', context);
  }

  #byId(id: string, { query, hashed }: GraphqlParameters, context: RequestContext): Prepared {
    const known = this.#trusted.byId(id);
    if (known) {
      if (query !== undefined && query !== known.text) throw mismatch();
      return this.#run(known.prepared, 'trusted');
    }
    this.#refuseUntrusted();
    if (query === undefined) {
      const kept = hashed ? this.#automatic.find(id) : undefined;
      if (kept) return this.#runUnknown(kept.prepared, 'automatic', context);
      throw hashed && !this.#registers ? notSupported() : notFound();
    }
    if (!hashed)
      throw new WeirError('BAD_REQUEST', {
        detail: 'Write `query` or `documentId`; the two go together only where the id is sha256:….',
      });
    return this.#runUnknown(this.#register(id, query), 'automatic', context);
  }

  #register(id: string, query: string): Prepared {
    const kept = this.#automatic.find(id);
    if (kept?.text === query) return kept.prepared;
    if (hash('sha256', query) !== id) throw mismatch();
    const { prepared, bytes } = this.#preparer.measured(query);
    // What cannot be run is not worth a place.
    if (this.#registers && !('errors' in prepared))
      this.#automatic.keep(id, { text: query, prepared, bytes }, this.#clock.epochMs());
    return prepared;
  }

  get #registers(): boolean {
    const { automatic, mode } = this.#settings.documents;
    return automatic.enabled && mode !== 'only';
  }

  #refuseUntrusted(): void {
    if (this.#settings.documents.mode === 'only') throw new WeirError('DOCUMENT_NOT_TRUSTED');
  }

  #runUnknown(prepared: Prepared, source: Source, context: RequestContext): Prepared {
    if (this.#settings.documents.mode === 'log' && !('errors' in prepared)) {
      const [operation] = prepared.operations;
      if (operation) this.#unknown.note(operation, context);
    }
    return this.#run(prepared, source);
  }

  #run(prepared: Prepared, source: Source): Prepared {
    this.#counts[source].add(1);
    return prepared;
  }
}

/** The message is part of Apollo's protocol: older clients look for it rather than for the code. */
function notFound(): WeirError {
  return new WeirError('PERSISTED_QUERY_NOT_FOUND', { detail: 'PersistedQueryNotFound', headers: unstored });
}

function notSupported(): WeirError {
  return new WeirError('PERSISTED_QUERY_NOT_SUPPORTED', { detail: 'PersistedQueryNotSupported', headers: unstored });
}

function mismatch(): WeirError {
  return new WeirError('PERSISTED_QUERY_MISMATCH', { headers: unstored });
}

/** A CDN that kept it would keep the client from registering. */
const unstored = { 'cache-control': 'no-store' };
