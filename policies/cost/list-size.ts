import {
  getNullableType,
  isListType,
  type FieldNode,
  type GraphQLField,
  type GraphQLObjectType,
  type GraphQLOutputType,
  type GraphQLSchema,
} from 'graphql';
import { WeirError } from '#core/errors.ts';
import { listSizeOf, type ListSize } from '#schema/directives.ts';
import { givenArgument, isVariable, valueAt, type GivenArgument, type Variables } from './arguments.ts';

type Field = GraphQLField<unknown, unknown>;

/** How many objects a field gives for one parent. */
export interface Size {
  /** Undefined where it is the same for all requests: {@link fixed} then. */
  readonly read: ((variables: Variables) => number) | undefined;
  readonly fixed: number;
  /** The field is no list, and these of the returned object's lists have the size. */
  readonly sizedFields: readonly string[];
  /** Objects in each item, where these are lists themselves, of which nothing says how long they are. */
  readonly within: number;
  /** The list's own size is unknown, but a `sizedFields` above it may know. */
  readonly open: boolean;
}

/** The most objects that are counted, so that sums stay numbers. */
export const maxObjects = 1_000_000_000;

/**
 * `@listSize` on a field of a document (IBM, GraphQL Cost Directives, §5): the slicing arguments that are given say how many,
 * or else their defaults, or else `assumedSize`.
 * @param usual the size of a list of which nothing is known
 */
export function sizeOf(
  schema: GraphQLSchema,
  type: GraphQLObjectType,
  field: Field,
  node: FieldNode,
  usual: number,
): Size {
  const dimensions = dimensionsOf(field.type);
  const directive = directiveOf(schema, type, field);
  const sizes = directive !== undefined && (dimensions > 0 || directive.sizedFields.length > 0);
  const within = Math.min(usual ** Math.max(0, dimensions - 1), maxObjects);
  const common = { sizedFields: dimensions === 0 && sizes ? directive.sizedFields : none, within };
  if (!sizes) return { ...common, read: undefined, fixed: dimensions > 0 ? usual : 1, open: dimensions > 0 };
  const slicing = directive.slicingArguments.flatMap((path) => {
    const [name = '', ...members] = path.split('.');
    const argument = field.args.find((candidate) => candidate.name === name);
    return argument ? [{ given: givenArgument(argument, node), members }] : [];
  });
  const coordinate = `${type.name}.${field.name}`;
  const read = (variables: Variables): number => slicedSize(coordinate, directive, slicing, variables, usual);
  const varies = slicing.some(({ given }) => isVariable(given.node));
  // What is wrong with it is told when it is asked for, not when the document is prepared.
  const always = varies || wrong(directive, slicing);
  return { ...common, read: always ? read : undefined, fixed: always ? usual : read({}), open: false };
}

interface Slicing {
  readonly given: GivenArgument;
  readonly members: readonly string[];
}

function slicedSize(
  coordinate: string,
  directive: ListSize,
  slicing: readonly Slicing[],
  variables: Variables,
  usual: number,
): number {
  const values = (defaults: boolean): unknown[] =>
    slicing
      .map(({ given, members }) => valueAt(given, members, variables, defaults))
      .filter((value) => value !== undefined && value !== null);
  let found = values(false);
  if (directive.requireOneSlicingArgument && found.length > 1) {
    throw new WeirError('BAD_USER_INPUT', {
      detail: `${coordinate} takes only one of ${directive.slicingArguments.join(', ')}.`,
      extensions: { field: coordinate },
    });
  }
  if (found.length === 0) found = values(true);
  // What is no size is left to the service to refuse, and priced as if nothing had been said.
  const sizes = found.map((value) => (Array.isArray(value) ? value.length : Number(value))).filter((size) => size >= 0);
  return sizes.length > 0 ? Math.min(Math.max(...sizes), maxObjects) : (directive.assumedSize ?? usual);
}

function wrong({ requireOneSlicingArgument }: ListSize, slicing: readonly Slicing[]): boolean {
  return requireOneSlicingArgument && slicing.filter(({ given }) => given.node !== undefined).length > 1;
}

/** What an interface says of a field goes for the types that say nothing. */
function directiveOf(schema: GraphQLSchema, type: GraphQLObjectType, field: Field): ListSize | undefined {
  const own = listSizeOf(schema, field);
  if (own) return own;
  for (const shared of type.getInterfaces()) {
    const declared = shared.getFields()[field.name];
    const found = declared && listSizeOf(schema, declared);
    if (found) return found;
  }
  return undefined;
}

function dimensionsOf(type: GraphQLOutputType): number {
  const nullable = getNullableType(type);
  return isListType(nullable) ? 1 + dimensionsOf(nullable.ofType) : 0;
}

const none: readonly string[] = Object.freeze([]);
