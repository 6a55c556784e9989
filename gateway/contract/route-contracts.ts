import type { Logger } from '#core/log.ts';
import type { Meter } from '#core/meter.ts';
import { Drift } from '#policies/validation/drift.ts';
import { CheckedOperations } from '#policies/validation/operations.ts';
import { RouteContract } from '#policies/validation/route-contract.ts';
import type { RouteSettings } from '#gateway/rest/settings.ts';
import type { UpstreamDocument } from './documents.ts';

/** Makes what holds routes to the documents of what they serve; each document is compiled once. */
export class RouteContracts {
  readonly #drift: Drift;
  readonly #compiled = new Map<UpstreamDocument, CheckedOperations | undefined>();
  readonly problems: string[] = [];

  constructor({ log, meter }: { readonly log: Logger; readonly meter: Meter }) {
    this.#drift = new Drift(log, meter);
  }

  /**
   * @param document what it serves, as its clients see it
   * @param name of the route
   */
  of(
    { validate: settings, path, upstream: own, split }: RouteSettings,
    document: UpstreamDocument | undefined,
    name: string,
    origin: string,
  ): RouteContract | undefined {
    const upstream = own ?? split?.[0]?.upstream;
    if (!settings || (settings.request === 'off' && settings.response === 'off')) return undefined;
    if (!document) {
      const remedy =
        upstream === undefined
          ? 'nothing describes what it serves. Fix: remove validate.'
          : `its upstream ${upstream} has no OpenAPI document. Fix: name one under upstreams.${upstream}.openapi, or remove validate.`;
      this.problems.push(`The route ${path} (${origin}) says validate, and ${remedy}`);
      return undefined;
    }
    const operations = this.#operationsOf(document);
    return operations && new RouteContract({ route: name, settings, operations, drift: this.#drift });
  }

  #operationsOf(described: UpstreamDocument): CheckedOperations | undefined {
    if (this.#compiled.has(described)) return this.#compiled.get(described);
    const { document, from } = described;
    let compiled: CheckedOperations | undefined;
    try {
      compiled = new CheckedOperations(document);
    } catch (error) {
      this.problems.push(`${from}: ${(error as Error).message}. Fix: correct the document.`);
    }
    this.#compiled.set(described, compiled);
    return compiled;
  }

  /** Says what has been counted and not yet told. */
  stop(): void {
    this.#drift.flush();
  }
}
