import { makeExecutableSchema } from '@graphql-tools/schema';
import {
  buildASTSchema,
  getDirectiveValues,
  GraphQLError,
  isInterfaceType,
  isObjectType,
  validateSchema,
  visit,
  type ConstDirectiveNode,
  type GraphQLFieldResolver,
  type GraphQLScalarType,
  type GraphQLSchema,
} from 'graphql';
import type { MergedSdl } from './merge.ts';
import type { Problem } from './problem.ts';
import { baseScalars } from './scalars.ts';

/** The types and directives of the modules, with nothing behind the fields yet. */
export interface BuiltSchema {
  readonly schema: GraphQLSchema;
  readonly problems: readonly Problem[];
}

/** Builds the schema of a document without problems. */
export function buildTypes(merged: MergedSdl): BuiltSchema {
  const schema = buildASTSchema(merged.document, { assumeValidSDL: true });
  const correct = 'correct the SDL';
  const errors = [...validateSchema(schema), ...misusedDirectives(merged, schema), ...misplacedCriticality(schema)];
  return { schema, problems: errors.map((error) => merged.problem(error, correct)) };
}

/** GraphQL §5.4.1 and §5.4.2.1, for directives in SDL: only arguments that exist, all that are required, of the right type. */
function misusedDirectives({ document }: MergedSdl, schema: GraphQLSchema): GraphQLError[] {
  const errors: GraphQLError[] = [];
  visit(document, {
    Directive(node) {
      const directive = schema.getDirective(node.name.value);
      if (!directive) return;
      for (const argument of node.arguments ?? []) {
        if (directive.args.some(({ name }) => name === argument.name.value)) continue;
        const message = `@${directive.name} has no argument "${argument.name.value}"; it has ${directive.args.map(({ name }) => name).join(', ')}`;
        errors.push(new GraphQLError(message, { nodes: argument }));
      }
      try {
        getDirectiveValues(directive, { directives: [node as ConstDirectiveNode] });
      } catch (error) {
        errors.push(error as GraphQLError);
      }
    },
  });
  return errors;
}

/** Operations are let in or refused as a whole, so below the root the directive would do nothing. */
function misplacedCriticality(schema: GraphQLSchema): GraphQLError[] {
  const roots = new Set<unknown>([schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()]);
  return Object.values(schema.getTypeMap()).flatMap((type) => {
    if (roots.has(type) || !(isObjectType(type) || isInterfaceType(type))) return [];
    return Object.values(type.getFields()).flatMap(({ name, astNode }) => {
      const node = astNode?.directives?.find((directive) => directive.name.value === 'criticality');
      if (!node) return [];
      const message = `@criticality is on ${type.name}.${name}, but only root fields have one: those of Query, Mutation and Subscription`;
      return [new GraphQLError(message, { nodes: node })];
    });
  });
}

/** By type, by field: what runs behind it. Scalars and enums stand whole. */
export type ResolverMap<Context> = Record<
  string,
  GraphQLScalarType | Record<string, GraphQLFieldResolver<unknown, Context> | object>
>;

/** Puts resolvers behind the fields. */
export function makeExecutable<Context>(schema: GraphQLSchema, resolvers: ResolverMap<Context>): GraphQLSchema {
  const scalars = Object.entries(baseScalars).filter(([name]) => schema.getType(name));
  return makeExecutableSchema<Context>({
    typeDefs: schema,
    updateResolversInPlace: true,
    resolvers: [
      Object.fromEntries(scalars),
      resolvers as Record<string, Record<string, GraphQLFieldResolver<unknown, Context>>>,
    ],
  });
}
