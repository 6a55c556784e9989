import {
  getNamedType,
  getNullableType,
  isInputObjectType,
  isListType,
  Kind,
  type FieldNode,
  type GraphQLArgument,
  type GraphQLInputField,
  type GraphQLInputType,
  type ValueNode,
} from 'graphql';

/** Coerced, with their defaults filled in. */
export type Variables = Readonly<Record<string, unknown>>;

/** What of a field's arguments may have a value: an argument, or a field of an input object. */
type Input = GraphQLArgument | GraphQLInputField;

/** An argument as one field of a document gives it. */
export interface GivenArgument {
  readonly argument: GraphQLArgument;
  /** Undefined where the document says nothing of it. */
  readonly node: ValueNode | undefined;
}

export function givenArgument(argument: GraphQLArgument, field: FieldNode): GivenArgument {
  return { argument, node: field.arguments?.find(({ name }) => name.value === argument.name)?.value };
}

/**
 * The value at a path: the argument's own for one name, a member of an input object for more.
 * @param defaults whether what the schema has for what was not given counts
 */
export function valueAt(
  { argument, node }: GivenArgument,
  path: readonly string[],
  variables: Variables,
  defaults: boolean,
): unknown {
  let value = read(argument, node, variables, defaults);
  for (const name of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = (value as Readonly<Record<string, unknown>>)[name];
  }
  return value;
}

/** GraphQL §6.4.1. Variables have their values already; literals are read as what they are, since they were validated. */
function read(input: Input, node: ValueNode | undefined, variables: Variables, defaults: boolean): unknown {
  const given = node && fromLiteral(input.type, node, variables, defaults);
  if (given !== undefined || !defaults) return given;
  const usual = input.default;
  if (!usual) return undefined;
  return usual.literal ? fromLiteral(input.type, usual.literal, variables, defaults) : usual.value;
}

function fromLiteral(type: GraphQLInputType, node: ValueNode, variables: Variables, defaults: boolean): unknown {
  switch (node.kind) {
    case Kind.VARIABLE:
      return variables[node.name.value];
    case Kind.NULL:
      return null;
    case Kind.INT:
    case Kind.FLOAT:
      return Number(node.value);
    case Kind.LIST: {
      const list = getNullableType(type);
      const of = isListType(list) ? list.ofType : type;
      return node.values.map((value) => fromLiteral(of, value, variables, defaults));
    }
    case Kind.OBJECT: {
      const object = getNamedType(type);
      if (!isInputObjectType(object)) return undefined;
      const value: Record<string, unknown> = {};
      for (const field of Object.values(object.getFields())) {
        const member = node.fields.find(({ name }) => name.value === field.name)?.value;
        const one = read(field, member, variables, defaults);
        if (one !== undefined) value[field.name] = one;
      }
      return value;
    }
    default:
      return node.value;
  }
}

/** Whether a value depends on the variables of a request. */
export function isVariable(node: ValueNode | undefined): boolean {
  switch (node?.kind) {
    case Kind.VARIABLE:
      return true;
    case Kind.LIST:
      return node.values.some(isVariable);
    case Kind.OBJECT:
      return node.fields.some(({ value }) => isVariable(value));
    default:
      return false;
  }
}
