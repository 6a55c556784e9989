import { readFileSync } from 'node:fs';
import {
  GraphQLError,
  Kind,
  KnownDirectivesRule,
  KnownTypeNamesRule,
  LoneSchemaDefinitionRule,
  parse,
  PossibleTypeExtensionsRule,
  Source,
  UniqueArgumentDefinitionNamesRule,
  UniqueArgumentNamesRule,
  UniqueDirectiveNamesRule,
  UniqueDirectivesPerLocationRule,
  UniqueEnumValueNamesRule,
  UniqueFieldDefinitionNamesRule,
  UniqueInputFieldNamesRule,
  UniqueOperationTypesRule,
  UniqueTypeNamesRule,
  visit,
  visitInParallel,
  type DefinitionNode,
  type DocumentNode,
} from 'graphql';
import { formatFile, type Problem } from './problem.ts';
import type { Sdl } from './sdl.ts';

/** What one module adds to the schema. */
export interface SchemaPart {
  readonly module: string;
  readonly documents: readonly Sdl[];
}

const baseUrl = new URL('./base.graphql', import.meta.url);

type Rule = typeof UniqueTypeNamesRule;

const keepOne = 'keep it in one module, or give it two names';
const correct = 'correct the name, or load the module that defines it';

/** GraphQL §3: the rules for SDL, and what to do about them. Whoever breaks a rule that only shows between modules learns of both. */
const rules: readonly { readonly rule: Rule; readonly fix: string }[] = [
  {
    rule: UniqueTypeNamesRule,
    fix: 'define it in one module and write `extend type` in the other, or give it two names',
  },
  { rule: UniqueFieldDefinitionNamesRule, fix: keepOne },
  { rule: UniqueEnumValueNamesRule, fix: keepOne },
  { rule: UniqueInputFieldNamesRule, fix: keepOne },
  { rule: UniqueDirectiveNamesRule, fix: keepOne },
  { rule: UniqueArgumentDefinitionNamesRule, fix: 'keep one of them' },
  { rule: UniqueArgumentNamesRule, fix: 'keep one of them' },
  { rule: UniqueDirectivesPerLocationRule, fix: 'keep one of them' },
  { rule: PossibleTypeExtensionsRule, fix: correct },
  { rule: KnownTypeNamesRule, fix: correct },
  { rule: KnownDirectivesRule, fix: correct },
  { rule: LoneSchemaDefinitionRule, fix: 'leave it out: Weir names the root types' },
  { rule: UniqueOperationTypesRule, fix: 'leave it out: Weir names the root types' },
];

/** The documents of all modules as one, and who wrote what. */
export class MergedSdl {
  readonly document: DocumentNode;
  readonly problems: readonly Problem[];
  readonly #modules: ReadonlyMap<string, string>;

  constructor(document: DocumentNode, problems: readonly Problem[], modules: ReadonlyMap<string, string>) {
    this.document = document;
    this.problems = problems;
    this.#modules = modules;
  }

  /** A problem that GraphQL found, with the modules and lines concerned. */
  problem(error: GraphQLError, fix: string): Problem {
    return locate(error, fix, this.#modules);
  }
}

/** Reads and joins the documents. Where there are problems, the document is good for nothing but finding more of them. */
export function mergeSdl(parts: readonly SchemaPart[]): MergedSdl {
  const modules = new Map<string, string>();
  const problems: Problem[] = [];
  const definitions: DefinitionNode[] = [];
  for (const { module, documents } of parts) {
    for (const { url, text } of documents) {
      const file = formatFile(url);
      modules.set(file, module);
      try {
        definitions.push(...parse(new Source(text, file)).definitions);
      } catch (error) {
        if (!(error instanceof GraphQLError)) throw error;
        problems.push(locate(error, 'correct the SDL', modules));
      }
    }
  }
  const base = parse(new Source(readFileSync(baseUrl, 'utf8'), formatFile(baseUrl))).definitions;
  modules.set(formatFile(baseUrl), 'weir');
  const users = [...base.filter(({ kind }) => kind === Kind.DIRECTIVE_DEFINITION), ...definitions];
  const document: DocumentNode = { kind: Kind.DOCUMENT, definitions: [...usedOf(base, users), ...definitions] };
  if (problems.length === 0) {
    for (const { error, fix } of broken(document)) problems.push(locate(error, fix, modules));
  }
  return new MergedSdl(document, problems, modules);
}

/** What modules use, and what that uses in turn. */
function usedOf(base: readonly DefinitionNode[], users: readonly DefinitionNode[]): readonly DefinitionNode[] {
  let used: readonly DefinitionNode[] = [];
  for (;;) {
    const further = base.filter((definition) => isUsed(definition, [...users, ...used]));
    if (further.length === used.length) return used;
    used = further;
  }
}

/** Of base.graphql, directives stand in every schema, types only where they or a module use or extend them. */
function isUsed(base: DefinitionNode, definitions: readonly DefinitionNode[]): boolean {
  if (!('name' in base) || base.name === undefined || base.kind === Kind.DIRECTIVE_DEFINITION) return true;
  const name = base.name.value;
  let used = false;
  const notice = (node: { readonly name?: { readonly value: string } | undefined }): void => {
    used ||= node.name?.value === name;
  };
  for (const definition of definitions) {
    visit(definition, { NamedType: notice, ObjectTypeExtension: notice, ObjectTypeDefinition: notice });
  }
  return used;
}

interface Broken {
  readonly error: GraphQLError;
  readonly fix: string;
}

function broken(document: DocumentNode): readonly Broken[] {
  const found: Broken[] = [];
  const twice = new Set<string>();
  for (const { rule, fix } of rules) {
    // What the rules ask of the context that graphql-js keeps to itself.
    const context = {
      hideSuggestions: false,
      getDocument: () => document,
      getSchema: () => undefined,
      reportError(error: GraphQLError) {
        if (rule === UniqueTypeNamesRule) twice.add(nameOf(error));
        // Of a type that is there twice, its members are too.
        if (!memberRules.has(rule) || !twice.has(nameOf(error))) found.push({ error, fix });
      },
    };
    visit(document, visitInParallel([rule(context as unknown as Parameters<Rule>[0])]));
  }
  return found;
}

const memberRules: ReadonlySet<Rule> = new Set([UniqueFieldDefinitionNamesRule, UniqueEnumValueNamesRule]);

/** The type that a message is about: `"User"`, or `"User.name"`. */
function nameOf({ message }: GraphQLError): string {
  return /"(\w+)/.exec(message)?.[1] ?? '';
}

function locate(error: GraphQLError, fix: string, modules: ReadonlyMap<string, string>): Problem {
  // A syntax error has a place but no node.
  const places = error.nodes
    ? error.nodes.flatMap(({ loc }) => (loc ? [{ file: loc.source.name, line: loc.startToken.line }] : []))
    : [{ file: error.source?.name ?? '', line: error.locations?.[0]?.line ?? 1 }];
  const last = places.at(-1);
  const message = error.message.replace(/\.$/, '');
  if (!last) return { where: 'schema', message, fix };
  const others = places.slice(0, -1).map(({ file, line }) => `${moduleOf(file, modules)} at ${file}:${line}`);
  const also = others.length === 0 ? '' : ` (the other is in ${others.join(' and in ')})`;
  return { where: `${last.file}:${last.line}`, message: `${moduleOf(last.file, modules)}: ${message}${also}`, fix };
}

function moduleOf(file: string, modules: ReadonlyMap<string, string>): string {
  const module = modules.get(file);
  return module === undefined ? file : module === 'weir' ? "Weir's own SDL" : `module '${module}'`;
}
