import {
  getNamedType,
  getNullableType,
  isAbstractType,
  isInputObjectType,
  isLeafType,
  isListType,
  isNonNullType,
  isObjectType,
  Kind,
  type GraphQLField,
  type GraphQLInputType,
  type GraphQLNamedType,
  type GraphQLObjectType,
  type GraphQLSchema,
} from 'graphql';
import { listSizeOf, upstreamOf } from './directives.ts';
import type { Problem } from './problem.ts';

type Field = GraphQLField<unknown, unknown>;

export interface Lint extends Problem {
  readonly rule: 'nullable' | 'n-plus-one' | 'list-size' | 'list-size-arguments';
  /** An error breaks what the gateway promises; a warning is a price that may be meant. */
  readonly severity: 'error' | 'warning';
}

/** A list above a field, and in words how many objects it has. */
interface List {
  readonly field: string;
  readonly size: string;
}

/** What the schema promises or costs beyond what GraphQL itself checks; each field at most once a rule. */
export function lintSchema(schema: GraphQLSchema): readonly Lint[] {
  const found = new Map<string, Lint>();
  const seen = new Set<string>();

  function report(type: GraphQLObjectType, field: Field, lint: Omit<Lint, 'where'>): void {
    const loc = field.astNode?.loc;
    const where = loc ? `${loc.source.name}:${loc.startToken.line}` : `${type.name}.${field.name}`;
    found.set(`${lint.rule} ${type.name}.${field.name}`, { where, ...lint });
  }

  function visit(type: GraphQLNamedType, above: List | undefined, sized: ReadonlyMap<string, List>): void {
    if (isAbstractType(type)) for (const possible of schema.getPossibleTypes(type)) visit(possible, above, sized);
    const state = JSON.stringify([type.name, above?.field, [...sized.keys()]]);
    if (!isObjectType(type) || seen.has(state)) return;
    seen.add(state);
    for (const field of Object.values(type.getFields())) visitField(type, field, above, sized);
  }

  function visitField(
    type: GraphQLObjectType,
    field: Field,
    above: List | undefined,
    sized: ReadonlyMap<string, List>,
  ): void {
    const name = `${type.name}.${field.name}`;
    const returned = getNamedType(field.type);
    const upstream = upstreamOf(schema, field);
    if (upstream && isNonNullType(field.type)) {
      report(type, field, {
        rule: 'nullable',
        severity: 'error',
        message: `${name} is answered by '${upstream.name}' and cannot be null, so its parent is lost when '${upstream.name}' is down`,
        fix: `write ${String(field.type).replace(/!$/, '')}`,
      });
    }
    if (upstream && upstream.batch === undefined && above) {
      report(type, field, {
        rule: 'n-plus-one',
        severity: 'warning',
        message: `${name} asks '${upstream.name}' once for each parent, which below ${above.field} is ${above.size}`,
        fix: `give it a batch() loader and \`batch:\`; keep it if '${upstream.name}' takes one key at a time`,
      });
    }

    const listSize = listSizeOf(schema, field);
    const isList = isListType(getNullableType(field.type));
    if (listSize) {
      const wrong = wrongArguments(field, listSize.slicingArguments, listSize.sizedFields);
      if (wrong.length > 0) {
        const message = `${name}: ${wrong.join(', ')}`;
        report(type, field, { rule: 'list-size-arguments', severity: 'error', message, fix: 'correct @listSize' });
      }
    }
    if (isLeafType(returned)) return;
    const own = listSize && { field: name, size: sizeInWords(field, listSize.assumedSize, listSize.slicingArguments) };
    const list = isList ? (own ?? sized.get(field.name)) : undefined;
    if (isList && !list) {
      report(type, field, {
        rule: 'list-size',
        severity: 'error',
        message: `${name} is a list of unknown size, so what is below it is priced by graphql.defaultListSize`,
        fix: 'add @listSize(slicingArguments: ["first"]), or @listSize(assumedSize: …) for a list that nobody can lengthen',
      });
    }
    const below = isList ? (list ?? { field: name, size: 'any number of calls' }) : above;
    const belowSized = own && !isList ? new Map(listSize.sizedFields.map((member) => [member, own])) : none;
    visit(returned, below, belowSized);
  }

  for (const root of [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()]) {
    if (root) visit(root, undefined, none);
  }
  return [...found.values()];
}

const none: ReadonlyMap<string, List> = new Map();

function sizeInWords(field: Field, assumedSize: number | undefined, slicing: readonly string[]): string {
  for (const name of slicing) {
    const usual = field.args.find((arg) => arg.name === name)?.default?.literal;
    if (usual?.kind === Kind.INT) return `${usual.value} calls by default`;
  }
  if (assumedSize !== undefined) return `up to ${assumedSize} calls`;
  return `as many calls as ${slicing.map((name) => `\`${name}\``).join(' or ')} asks for`;
}

function wrongArguments(field: Field, slicing: readonly string[], sizedFields: readonly string[]): string[] {
  const problems: string[] = [];
  for (const path of slicing) {
    const input = inputAt(field, path.split('.'));
    if (!input) problems.push(`slicing argument "${path}" does not exist`);
    else if (!isListType(getNullableType(input)) && getNamedType(input).name !== 'Int')
      problems.push(`slicing argument "${path}" is neither an Int nor a list`);
  }
  const returned = getNamedType(field.type);
  for (const name of sizedFields) {
    const member = isObjectType(returned) ? returned.getFields()[name] : undefined;
    if (!member || !isListType(getNullableType(member.type))) problems.push(`"${name}" is no list of ${returned.name}`);
  }
  return problems;
}

/** The type of an argument, or of what a path leads to within it. */
function inputAt(field: Field, [name, ...members]: readonly string[]): GraphQLInputType | undefined {
  let type = field.args.find((argument) => argument.name === name)?.type;
  for (const member of members) {
    const object = type && getNullableType(type);
    type = isInputObjectType(object) ? object.getFields()[member]?.type : undefined;
  }
  return type;
}
