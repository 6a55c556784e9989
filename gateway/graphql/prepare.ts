import { hash } from 'node:crypto';
import { GraphQLError, Kind, Source, visit, type DocumentNode } from 'graphql';
import type { OperationFacts } from '#core/context.ts';
import { WeirError } from '#core/errors.ts';
import type { Criticality } from '#core/criticality.ts';
import type { FieldDemand } from '#policies/auth/field-guard.ts';
import type { ItemizedPrice } from '#policies/cost/cost.ts';
import { keepingOf, type Keeping } from './answers/keeping.ts';
import { BoundedCache } from './bounded-cache.ts';
import { operationCriticality } from './criticality.ts';
import { deprecatedFields } from './deprecated-fields.ts';
import { operationDemands } from './operation-demands.ts';
import { newDraft, type DocumentPhase, type Draft, type PhaseScope } from './phases.ts';
import { refused, refusedAs, type Refusal } from './refusal.ts';
import { selectedTimes } from './selected-times.ts';
import { asksForBudgetAlone } from './root-fields.ts';

/** A document that may be executed, with all that does not depend on a request. */
interface PreparedDocument {
  readonly document: DocumentNode;
  /** The same without `@defer` and `@stream`, for clients that take one answer; the same object where there are none. */
  readonly whole: DocumentNode;
  readonly operations: readonly PreparedOperation[];
}

export interface PreparedOperation {
  readonly facts: OperationFacts;
  readonly criticality: Criticality;
  /** What its fields ask of the reader, all together. */
  readonly demands: readonly FieldDemand[];
  /** Fields that are on their way out, as `Type.field`. */
  readonly deprecated: readonly string[];
  /** Undefined where nothing is priced. */
  readonly price: ItemizedPrice | undefined;
  /** Undefined where its answers are not kept. */
  readonly keeping: Keeping | undefined;
  /** It asks for what is left of the budget, and is not charged. */
  readonly free: boolean;
}

export type Prepared = PreparedDocument | Refusal;

/** About what a document takes in memory, measured with graphql 17: its nodes, their locations and the tokens these hold. */
const bytesPerToken = 300;

const maxEntries = 2_000;
const maxBytes = 32 * 1024 ** 2;

/**
 * Takes documents through the phases that depend on nothing but their text. Once for each text, whichever way it comes in,
 * the refused ones too.
 */
export class Preparer {
  readonly #phases: readonly DocumentPhase[];
  readonly #scope: PhaseScope;
  readonly #cache = new BoundedCache<MeasuredDocument>({ maxEntries, maxBytes });

  constructor(phases: readonly DocumentPhase[], scope: PhaseScope) {
    this.#phases = phases;
    this.#scope = scope;
  }

  forget(): void {
    this.#cache.clear();
  }

  /** What has been prepared already. */
  known(text: string): Prepared | undefined {
    return this.#cache.peek(text)?.prepared;
  }

  prepare(text: string): Prepared {
    return this.measured(text).prepared;
  }

  /** The same with about what it takes in memory. */
  measured(text: string): MeasuredDocument {
    const known = this.#cache.get(text);
    if (known) return known;
    const measured = prepareDocument(text, this.#phases, this.#scope);
    this.#cache.add(text, measured);
    return measured;
  }
}

interface MeasuredDocument {
  readonly prepared: Prepared;
  readonly bytes: number;
}

/** Takes a document through its phases, whatever is known of it. */
export function prepareDocument(text: string, phases: readonly DocumentPhase[], scope: PhaseScope): MeasuredDocument {
  const draft = newDraft(new Source(text));
  let prepared: Prepared;
  try {
    for (const { run } of phases) {
      run(draft, scope);
      if (draft.refusal) break;
    }
    prepared = draft.refusal ?? complete(draft, text, scope);
  } catch (error) {
    prepared = refusalOf(error);
  }
  const trees = 'document' in prepared && prepared.whole !== prepared.document ? 2 : 1;
  return { prepared, bytes: 2 * text.length + draft.tokens * bytesPerToken * trees };
}

function complete(
  { document, prices }: Draft,
  text: string,
  { schema, settings, execution }: PhaseScope,
): PreparedDocument {
  const documentHash = hash('sha256', text);
  const whole = withoutIncremental(document);
  const limited = new Set(settings.limits.flatMap(({ fields = [] }) => fields));
  const operations = document.definitions.flatMap((definition) => {
    if (definition.kind !== Kind.OPERATION_DEFINITION) return [];
    const selected = limited.size > 0 ? selectedTimes(schema, document, definition, limited) : undefined;
    const facts = {
      name: definition.name?.value,
      type: definition.operation,
      hash: documentHash,
      ...(selected && { selected }),
    };
    const criticality = operationCriticality(schema, document, definition, settings.criticality);
    const demands = operationDemands(schema, execution.demands, document, definition);
    const deprecated = deprecatedFields(schema, document, definition);
    const price = prices.get(definition);
    // What may come in parts is not kept, however it comes.
    const keeping = whole === document ? keepingOf(schema, document, definition) : undefined;
    const free = asksForBudgetAlone(document, definition);
    return [{ facts, criticality, demands, deprecated, price, keeping, free }];
  });
  return { document, whole, operations };
}

function withoutIncremental(document: DocumentNode): DocumentNode {
  return visit(document, {
    Directive: ({ name }) => (name.value === 'defer' || name.value === 'stream' ? null : undefined),
  });
}

function refusalOf(error: unknown): Refusal {
  if (error instanceof WeirError) return refusedAs(error);
  if (error instanceof GraphQLError) return refused('GRAPHQL_PARSE_FAILED', [error]);
  // Chains of fragments, too, are followed by recursion, and a high `maxTokens` allows long ones.
  if (error instanceof RangeError)
    return refusedAs(new WeirError('DOCUMENT_LIMIT_EXCEEDED', { detail: 'The document is too deep to be checked.' }));
  throw error;
}
