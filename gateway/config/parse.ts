import { isAlias, isMap, isScalar, isSeq, LineCounter, parseAllDocuments, type Node, type YAMLError } from 'yaml';
import { formatPath, type ConfigNode, type ConfigPath, type Origin, type Position } from './node.ts';
import { locate, type Finding, type Problem } from './problem.ts';

/** Far above any real configuration; an anchor that repeats itself ends here and not in the memory. */
const maxValues = 100_000;
const maxDepth = 32;

interface Parsed {
  readonly root: ConfigNode;
  readonly problems: readonly Problem[];
  /** Whether the text could not be read as a whole, so that there is no sense in looking further. */
  readonly broken: boolean;
}

/** Reads YAML 1.2 into a tree of located values: one document, maps with text keys, aliases but no merge keys or tags. */
export function parseYaml(text: string, origin: Origin): Parsed {
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, {
    lineCounter: lines,
    prettyErrors: false,
    stringKeys: true,
    uniqueKeys: false,
    merge: false,
    resolveKnownTags: false,
    logLevel: 'silent',
  });
  const positionOf = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { line, column: col };
  };
  const empty: ConfigNode = { content: new Map(), origin };
  const [document, second] = documents;
  if (document === undefined) return { root: empty, problems: [], broken: false };

  if (document.errors.length > 0) {
    return { root: empty, problems: syntaxProblems(document.errors, text, origin, positionOf), broken: true };
  }
  const problems: Problem[] = document.warnings.map(({ message, pos: [offset] }) =>
    locate({ ...origin, position: positionOf(offset) }, '', {
      message: withoutQuote(message),
      fix: 'remove the tag or directive; put text that starts with ! in quotes',
    }),
  );
  if (second !== undefined) {
    const position = positionOf((second.contents ?? second).range[0]);
    const finding = { message: 'holds more than one YAML document', fix: 'keep one, without --- or ... between parts' };
    problems.push(locate({ ...origin, position }, '', finding));
  }
  const reader = new TreeReader(origin, positionOf);
  const root = document.contents === null ? empty : reader.read(document.contents, [], undefined);
  problems.push(...reader.problems);
  return { root: root.content === null ? empty : root, problems, broken: reader.exhausted };
}

/** The first problem of each line: one mistake is often reported several times over. */
function syntaxProblems(
  errors: readonly YAMLError[],
  text: string,
  origin: Origin,
  positionOf: (offset: number) => Position,
): Problem[] {
  const lines = text.split('\n');
  const problems = new Map<number, Problem>();
  for (const { code, message, pos } of errors) {
    const position = positionOf(pos[0]);
    if (problems.has(position.line) || problems.size === 10) continue;
    const finding = syntaxFinding(code, message, lines[position.line - 1] ?? '');
    problems.set(position.line, locate({ ...origin, position }, '', finding));
  }
  return [...problems.values()];
}

function syntaxFinding(code: string, message: string, line: string): Finding {
  if (code === 'RESOURCE_EXHAUSTION') return { message: 'is nested too deeply to be read', fix: 'remove levels' };
  if (/[:,[{]\s*\$\{/.test(line)) return { message: 'is no YAML', fix: 'put the expression in double quotes: "${…}"' };
  if (code === 'TAB_AS_INDENT') return { message: 'is indented with a tab', fix: 'indent with spaces' };
  return { message: `is no YAML: ${withoutQuote(message)}`, fix: 'correct indentation, quotes or brackets there' };
}

/** What the parser quotes after a colon may be a secret that starts with a sign YAML reads otherwise, such as `|` or `!`. */
function withoutQuote(message: string): string {
  return message.replace(/: .*$/s, '');
}

class TreeReader {
  readonly problems: Problem[] = [];
  exhausted = false;
  readonly #origin: Origin;
  readonly #positionOf: (offset: number) => Position;
  readonly #anchors = new Map<string, Node>();
  #values = 0;

  constructor(origin: Origin, positionOf: (offset: number) => Position) {
    this.#origin = origin;
    this.#positionOf = positionOf;
  }

  read(node: Node | null, path: ConfigPath, keyPosition: Position | undefined): ConfigNode {
    const position = node?.range ? this.#positionOf(node.range[0]) : keyPosition;
    const origin = { ...this.#origin, ...(position && { position }), ...(keyPosition && { keyPosition }) };
    if (this.exhausted) return { content: null, origin };
    if (++this.#values > maxValues || path.length > maxDepth) {
      this.exhausted = true;
      this.#report(origin, path, {
        message:
          path.length > maxDepth
            ? `is nested more than ${maxDepth} levels deep`
            : `has more than ${maxValues} values, aliases written out`,
        fix: 'remove levels and aliases',
      });
      return { content: null, origin };
    }
    if (isAlias(node)) {
      const target = this.#anchors.get(node.source);
      if (target) return this.read(target, path, keyPosition ?? position);
      const finding = {
        message: `refers to the anchor &${node.source}, which no value before it has`,
        fix: 'write the value itself',
      };
      this.problems.push(locate(origin, formatPath(path), finding, 'key'));
      return { content: null, origin };
    }
    const result: ConfigNode = { content: this.#content(node, path, origin), origin };
    // Only now, so that a value cannot hold itself.
    if (node && 'anchor' in node && typeof node.anchor === 'string') this.#anchors.set(node.anchor, node);
    return result;
  }

  #content(node: Node | null, path: ConfigPath, origin: Origin): ConfigNode['content'] {
    if (isSeq<Node | null>(node)) return node.items.map((item, index) => this.read(item, [...path, index], undefined));
    if (isMap<Node, Node | null>(node)) {
      const entries = new Map<string, ConfigNode>();
      for (const { key, value } of node.items) {
        const name = isScalar(key) ? String(key.value) : '';
        const keyPosition = key.range ? this.#positionOf(key.range[0]) : undefined;
        const finding = keyFinding(name, entries.get(name));
        if (finding) {
          this.#report({ ...origin, ...(keyPosition && { position: keyPosition }) }, [...path, name], finding);
        } else {
          entries.set(name, this.read(value, [...path, name], keyPosition));
        }
      }
      return entries;
    }
    if (!isScalar(node)) return null;
    const { value } = node;
    return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? value : null;
  }

  #report(origin: Origin, path: ConfigPath, finding: Finding): void {
    this.problems.push(locate(origin, formatPath(path), finding));
  }
}

function keyFinding(key: string, earlier: ConfigNode | undefined): Finding | undefined {
  if (key === '__proto__') return { message: 'is no key', fix: 'choose another name' };
  if (key === '<<') {
    return {
      message: 'is a merge key, which YAML 1.2 does not have',
      fix: 'write the keys out, or alias a whole value',
    };
  }
  if (!earlier) return undefined;
  const line = (earlier.origin.keyPosition ?? earlier.origin.position)?.line;
  return { message: `is written twice, first in line ${line}`, fix: 'keep one of the two' };
}
