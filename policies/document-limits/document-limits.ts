import {
  getLocation,
  Kind,
  type ASTNode,
  type DocumentNode,
  type FragmentDefinitionNode,
  type OperationDefinitionNode,
  type SelectionSetNode,
} from 'graphql';
import { limitExceeded } from './excess.ts';
import type { DocumentLimits } from './settings.ts';

/** What a selection set amounts to, with all fragments spread. Counts are sums, so they may be as large as floats get. */
interface Extent {
  depth: number;
  /** The field that is deepest. */
  deepest: ASTNode | undefined;
  aliases: number;
  /** Fields of the set itself, not of what is below them. */
  fields: number;
}

/** The phase of a document: {@link checkDocument}, which finds out on the way whether fragments spread themselves. */
export function limitDocument(
  draft: { readonly document: DocumentNode; cyclic: boolean },
  { settings }: { readonly settings: DocumentLimits },
): void {
  draft.cyclic = checkDocument(draft.document, settings).cyclic;
}

/**
 * Measures every operation of a document before it is validated, since what it measures bounds the cost of validation.
 * Introspection is answered from memory and has a limit of its own in validation, so what is below `__schema` and
 * `__type` has no depth.
 * @returns whether a fragment spreads itself, which no rule but `NoFragmentCyclesRule` may be shown
 * @throws {WeirError} `DOCUMENT_LIMIT_EXCEEDED`
 */
export function checkDocument(document: DocumentNode, limits: DocumentLimits): { readonly cyclic: boolean } {
  const measure = new Measure(document);
  for (const definition of document.definitions) {
    if (definition.kind === Kind.OPERATION_DEFINITION) {
      checkOperation(definition, measure.of(definition.selectionSet), limits);
    } else if (definition.kind === Kind.FRAGMENT_DEFINITION) {
      measure.spread(definition.name.value);
    }
  }
  return { cyclic: measure.cyclic };
}

function checkOperation(operation: OperationDefinitionNode, extent: Extent, limits: DocumentLimits): void {
  const refuse = (limit: keyof DocumentLimits, count: number, what: string, node: ASTNode | undefined): Error => {
    const name = operation.name ? `The operation "${operation.name.value}"` : 'The operation';
    const maximum = limits[limit];
    // Fragments that spread fragments multiply.
    const actual = Math.min(count, Number.MAX_SAFE_INTEGER);
    return limitExceeded(
      { limit, maximum, actual, where: locationOf(node) },
      `${name} has ${actual} ${what}; at most ${maximum} are allowed.`,
    );
  };
  if (extent.fields > limits.maxRootFields) throw refuse('maxRootFields', extent.fields, 'root fields', operation);
  if (extent.depth > limits.maxDepth) throw refuse('maxDepth', extent.depth, 'levels of fields', extent.deepest);
  if (extent.aliases > limits.maxAliases) throw refuse('maxAliases', extent.aliases, 'aliases', operation);
}

/** Each fragment is measured once, however often it is spread. */
class Measure {
  cyclic = false;
  readonly #fragments = new Map<string, FragmentDefinitionNode>();
  readonly #measured = new Map<string, Extent | 'in progress'>();

  constructor(document: DocumentNode) {
    for (const definition of document.definitions) {
      if (definition.kind === Kind.FRAGMENT_DEFINITION) this.#fragments.set(definition.name.value, definition);
    }
  }

  of(set: SelectionSetNode): Extent {
    const extent: Extent = { depth: 0, deepest: undefined, aliases: 0, fields: 0 };
    for (const selection of set.selections) {
      switch (selection.kind) {
        case Kind.FIELD: {
          extent.fields++;
          if (selection.alias) extent.aliases++;
          deepen(extent, 1, selection);
          if (!selection.selectionSet) break;
          const below = this.of(selection.selectionSet);
          extent.aliases += below.aliases;
          if (selection.name.value !== '__schema' && selection.name.value !== '__type')
            deepen(extent, 1 + below.depth, below.deepest);
          break;
        }
        case Kind.INLINE_FRAGMENT:
          add(extent, this.of(selection.selectionSet));
          break;
        case Kind.FRAGMENT_SPREAD:
          add(extent, this.spread(selection.name.value));
          break;
      }
    }
    return extent;
  }

  spread(name: string): Extent | undefined {
    const known = this.#measured.get(name);
    if (known === 'in progress') {
      this.cyclic = true;
      return undefined;
    }
    const fragment = this.#fragments.get(name);
    if (known || !fragment) return known;
    this.#measured.set(name, 'in progress');
    const extent = this.of(fragment.selectionSet);
    this.#measured.set(name, extent);
    return extent;
  }
}

function add(extent: Extent, part: Extent | undefined): void {
  if (!part) return;
  extent.fields += part.fields;
  extent.aliases += part.aliases;
  deepen(extent, part.depth, part.deepest);
}

function deepen(extent: Extent, depth: number, deepest: ASTNode | undefined): void {
  if (depth <= extent.depth) return;
  extent.depth = depth;
  extent.deepest = deepest;
}

function locationOf(node: ASTNode | undefined): { line: number; column: number } | undefined {
  return node?.loc && getLocation(node.loc.source, node.loc.start);
}
