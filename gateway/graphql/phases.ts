import {
  Kind,
  NoFragmentCyclesRule,
  NoSchemaIntrospectionCustomRule,
  parse,
  specifiedRules,
  validate,
  type DocumentNode,
  type GraphQLSchema,
  type OperationDefinitionNode,
  type Source,
} from 'graphql';
import type { ItemizedPrice } from '#policies/cost/cost.ts';
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
  /** Of its operations. */
  readonly prices: Map<OperationDefinitionNode, ItemizedPrice>;
  /** Ends the way. */
  refusal: Refusal | undefined;
}

export interface PhaseScope {
  readonly schema: GraphQLSchema;
  readonly settings: GraphqlSettings;
  readonly execution: Pick<Execution, 'demands'>;
  /** What a call to an upstream costs, in thousandths. */
  readonly weightOf: (upstream: string) => number;
}

/** Refuses by throwing a `WeirError` or a `GraphQLError`, or by setting `draft.refusal`. */
export interface DocumentPhase {
  readonly name: string;
  readonly run: (draft: Draft, scope: PhaseScope) => void;
  readonly why: string;
}

export function newDraft(source: Source): Draft {
  const document: DocumentNode = { kind: Kind.DOCUMENT, definitions: [] };
  return { source, tokens: 0, document, cyclic: false, prices: new Map(), refusal: undefined };
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
