import {
  Kind,
  NoFragmentCyclesRule,
  NoSchemaIntrospectionCustomRule,
  parse,
  specifiedRules,
  validate,
  type DocumentNode,
  type GraphQLSchema,
  type Source,
} from 'graphql';
import { refused, type Refusal } from './refusal.ts';
import type { Execution } from '#resolvers/execution.ts';
import type { GraphqlSettings } from './settings.ts';

/** A document on its way through the phases; each fills in what it finds. */
export interface Draft {
  readonly source: Source;
  tokens: number;
  document: DocumentNode;
  /** A fragment spreads itself. */
  cyclic: boolean;
  /** Ends the way. */
  refusal: Refusal | undefined;
}

export interface PhaseScope {
  readonly schema: GraphQLSchema;
  readonly settings: GraphqlSettings;
  readonly execution: Pick<Execution, 'demands'>;
}

/** Refuses by throwing a `WeirError` or a `GraphQLError`, or by setting `draft.refusal`. */
export interface DocumentPhase {
  readonly name: string;
  readonly run: (draft: Draft, scope: PhaseScope) => void;
  readonly why: string;
}

export function newDraft(source: Source): Draft {
  return { source, tokens: 0, document: { kind: Kind.DOCUMENT, definitions: [] }, cyclic: false, refusal: undefined };
}

/** @throws {GraphQLError} where the text is no document */
export function parseDocument(draft: Draft): void {
  draft.document = parse(draft.source);
}

/** After so many errors a document is not worth more of the validator's time, nor of the reader's. */
const maxErrors = 20;

const withoutIntrospection = [...specifiedRules, NoSchemaIntrospectionCustomRule];

export function validateDocument(draft: Draft, { schema, settings: { introspection } }: PhaseScope): void {
  // The other rules do not come back from a fragment that spreads itself.
  const rules = draft.cyclic ? [NoFragmentCyclesRule] : introspection ? specifiedRules : withoutIntrospection;
  const errors = validate(schema, draft.document, rules, { maxErrors, hideSuggestions: !introspection });
  if (errors.length > 0) draft.refusal = refused('GRAPHQL_VALIDATION_FAILED', errors);
}
