import { hash } from 'node:crypto';
import { relative } from 'node:path';
import { prepareDocument, type Prepared } from '#gateway/graphql/prepare.ts';
import type { DocumentPhase, PhaseScope } from '#gateway/graphql/phases.ts';
import { ProblemsError } from '#gateway/problems.ts';
import { listDocuments, type ListedDocument } from './manifest.ts';

export interface TrustedDocument {
  readonly text: string;
  readonly prepared: Prepared;
}

/** The documents that the operator has listed, ready to be executed. A reload makes a new one. */
export class TrustedDocuments {
  /** By the id of the manifest or file, and by SHA-256. */
  readonly #byId: ReadonlyMap<string, TrustedDocument>;
  readonly #byText: ReadonlyMap<string, TrustedDocument>;

  constructor(byId: ReadonlyMap<string, TrustedDocument>) {
    this.#byId = byId;
    this.#byText = new Map([...byId.values()].map((document) => [document.text, document]));
  }

  get size(): number {
    return this.#byText.size;
  }

  byId(id: string): TrustedDocument | undefined {
    return this.#byId.get(id);
  }

  byText(text: string): TrustedDocument | undefined {
    return this.#byText.get(text);
  }
}

/** Limits of documents as if there were none. */
const boundless = {
  maxTokens: Number.POSITIVE_INFINITY,
  maxDepth: Number.POSITIVE_INFINITY,
  maxAliases: Number.POSITIVE_INFINITY,
  maxRootFields: Number.POSITIVE_INFINITY,
  maxDirectives: Number.POSITIVE_INFINITY,
};

/**
 * Reads the documents under `graphql.documents.path` and takes them through the phases.
 * @throws {ProblemsError} with each one that could not be run, and its file
 */
export function trustDocuments(scope: PhaseScope, phases: readonly DocumentPhase[]): TrustedDocuments {
  const { path, exempt } = scope.settings.documents;
  if (path === undefined) return new TrustedDocuments(new Map());
  const own = exempt ? { ...scope, settings: { ...scope.settings, ...boundless } } : scope;
  const { documents, problems: unread } = listDocuments(path);
  const problems = [...unread];
  const byId = new Map<string, TrustedDocument & { readonly from: string }>();
  for (const listed of documents) {
    const trusted = prepareTrusted(listed, own, phases, problems);
    if (!trusted) continue;
    for (const id of [listed.id, hash('sha256', listed.text)]) {
      const other = byId.get(id);
      if (other && other.text !== listed.text)
        problems.push(`${listed.from} and ${other.from} both have the id ${id}. Fix: rename one.`);
      else byId.set(id, trusted);
    }
  }
  if (documents.length === 0 && problems.length === 0)
    problems.push(
      `${relative('', path)} has no documents. Fix: add .graphql files or a manifest, or remove graphql.documents.path.`,
    );
  if (problems.length > 0) throw new ProblemsError(problems);
  return new TrustedDocuments(byId);
}

function prepareTrusted(
  { text, from }: ListedDocument,
  scope: PhaseScope,
  phases: readonly DocumentPhase[],
  problems: string[],
) {
  const { prepared } = prepareDocument(text, phases, scope);
  if (!('errors' in prepared)) {
    const operations = prepared.operations.map((operation) => ({
      ...operation,
      facts: { ...operation.facts, listed: true as const },
    }));
    return { text, prepared: { ...prepared, operations }, from };
  }
  for (const { message, locations } of prepared.errors) {
    const [place] = locations ?? [];
    problems.push(`${from}${place ? `, line ${place.line}, column ${place.column}` : ''}: ${message}`);
  }
  return undefined;
}
