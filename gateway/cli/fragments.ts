import { Kind, parse, visit, type ASTNode, type DocumentNode, type FragmentDefinitionNode } from 'graphql';
import { ProblemsError } from '#gateway/problems.ts';

/** A document of a folder, as it stands in its file. */
export interface DocumentFile {
  readonly file: string;
  readonly text: string;
}

/** A document with all the fragments that it needs, wherever they stand. */
export interface CompleteDocument {
  readonly text: string;
  /** Whether there is anything to run in it, rather than fragments for others alone. */
  readonly operations: boolean;
  /** Where a line of it stands: `file:line`. */
  readonly placeOf: (line: number) => string;
}

interface Fragment extends DocumentFile {
  readonly name: string;
  readonly line: number;
  readonly spreads: ReadonlySet<string>;
}

/**
 * The fragments of the documents of one folder. As with generators of code for clients, a document may spread what stands in
 * another, and what is sent is its operations with the fragments that these need.
 */
export class Fragments {
  readonly #byName = new Map<string, Fragment[]>();
  /** Files that spread a fragment, by its name. */
  readonly #spreadIn = new Map<string, Set<string>>();

  constructor(files: readonly DocumentFile[]) {
    for (const { file, text } of files) {
      const document = parsed(text);
      if (!document) continue;
      for (const name of spreadsOf(document))
        this.#spreadIn.set(name, (this.#spreadIn.get(name) ?? new Set()).add(file));
      for (const fragment of fragmentsOf(document, { file, text })) {
        const known = this.#byName.get(fragment.name);
        if (known) known.push(fragment);
        else this.#byName.set(fragment.name, [fragment]);
      }
    }
  }

  /**
   * A document as a client would send it. What is wrong with it otherwise is left for the gateway to say.
   * @throws {ProblemsError} where several files have the fragment that is meant
   */
  complete({ file, text }: DocumentFile): CompleteDocument {
    const document = parsed(text);
    if (!document) return { text, operations: true, placeOf: (line) => `${file}:${line}` };
    const own = new Map(fragmentsOf(document, { file, text }).map((fragment) => [fragment.name, fragment]));
    const needed = new Map<string, Fragment>();
    const wanted = document.definitions.flatMap((definition) =>
      definition.kind === Kind.OPERATION_DEFINITION ? [...spreadsOf(definition)] : [],
    );
    for (let name = wanted.pop(); name !== undefined; name = wanted.pop()) {
      if (needed.has(name)) continue;
      const fragment = own.get(name) ?? this.#of(name, file);
      if (!fragment) continue;
      needed.set(name, fragment);
      wanted.push(...fragment.spreads);
    }
    const kept = [...own.values()].reduce(
      (rest, fragment) => (needed.has(fragment.name) || !this.#servesOthers(fragment) ? rest : without(fragment, rest)),
      text,
    );
    const added = [...needed.values()].filter((fragment) => fragment.file !== file);
    return {
      text: [kept, ...added.map((fragment) => fragment.text)].join('\n'),
      operations: document.definitions.some(({ kind }) => kind === Kind.OPERATION_DEFINITION),
      placeOf: (line) => placeOf(line, { file, text }, added),
    };
  }

  #of(name: string, file: string): Fragment | undefined {
    const [first, ...others] = this.#byName.get(name) ?? [];
    const other = others.find(({ text }) => text !== first!.text);
    if (!other) return first;
    throw new ProblemsError([
      `${file}: the fragment ${name} that it spreads stands in ${first!.file}:${first!.line} and otherwise in ${other.file}:${other.line}. Fix: give one of them another name.`,
    ]);
  }

  #servesOthers({ name, file }: Fragment): boolean {
    return [...(this.#spreadIn.get(name) ?? [])].some((other) => other !== file);
  }
}

function parsed(text: string): DocumentNode | undefined {
  try {
    return parse(text);
  } catch {
    return undefined;
  }
}

function fragmentsOf({ definitions }: DocumentNode, { file, text }: DocumentFile): Fragment[] {
  return definitions
    .filter((definition): definition is FragmentDefinitionNode => definition.kind === Kind.FRAGMENT_DEFINITION)
    .map((definition) => {
      const { start, end, startToken } = definition.loc!;
      const spreads = spreadsOf(definition);
      return { name: definition.name.value, file, text: text.slice(start, end), line: startToken.line, spreads };
    });
}

function spreadsOf(node: ASTNode): ReadonlySet<string> {
  const names = new Set<string>();
  visit(node, { FragmentSpread: ({ name }) => void names.add(name.value) });
  return names;
}

/** Blank, so that all else keeps its place. */
function without(fragment: Fragment, text: string): string {
  return text.replace(fragment.text, () => fragment.text.replaceAll(/[^\n]/g, ' '));
}

function placeOf(line: number, { file, text }: DocumentFile, added: readonly Fragment[]): string {
  let left = line - text.split('\n').length;
  if (left <= 0) return `${file}:${line}`;
  for (const fragment of added) {
    const lines = fragment.text.split('\n').length;
    if (left <= lines) return `${fragment.file}:${fragment.line + left - 1}`;
    left -= lines;
  }
  return file;
}
