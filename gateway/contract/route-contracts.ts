import type { Logger } from '#core/log.ts';
import type { Meter } from '#core/meter.ts';
import { Drift } from '#policies/validation/drift.ts';
import { CheckedOperations } from '#policies/validation/operations.ts';
import { RouteContract } from '#policies/validation/route-contract.ts';
import type { RouteSettings } from '#gateway/rest/settings.ts';
import type { UpstreamDocuments } from './documents.ts';

/** Makes what holds routes to the documents of their upstreams; each document is compiled once. */
export class RouteContracts {
  readonly #documents: UpstreamDocuments;
  readonly #drift: Drift;
  readonly #compiled = new Map<string, CheckedOperations | undefined>();
  readonly problems: string[] = [];

  constructor(documents: UpstreamDocuments, { log, meter }: { readonly log: Logger; readonly meter: Meter }) {
    this.#documents = documents;
    this.#drift = new Drift(log, meter);
  }

  /**
   * @param upstream which answers
   * @param name of the route
   */
  of(
    { validate: settings, path }: RouteSettings,
    upstream: string,
    name: string,
    origin: string,
  ): RouteContract | undefined {
    if (!settings || (settings.request === 'off' && settings.response === 'off')) return undefined;
    if (!this.#documents.has(upstream)) {
      this.problems.push(
        `The route ${path} (${origin}) says validate, and its upstream ${upstream} has no OpenAPI document. ` +
          `Fix: name one under upstreams.${upstream}.openapi, or remove validate.`,
      );
      return undefined;
    }
    const operations = this.#operationsOf(upstream);
    return operations && new RouteContract({ route: name, settings, operations, drift: this.#drift });
  }

  #operationsOf(upstream: string): CheckedOperations | undefined {
    if (this.#compiled.has(upstream)) return this.#compiled.get(upstream);
    const { document, from } = this.#documents.get(upstream)!;
    let compiled: CheckedOperations | undefined;
    try {
      compiled = new CheckedOperations(document);
    } catch (error) {
      this.problems.push(`${from}: ${(error as Error).message}. Fix: correct the document.`);
    }
    this.#compiled.set(upstream, compiled);
    return compiled;
  }

  /** Says what has been counted and not yet told. */
  stop(): void {
    this.#drift.flush();
  }
}
