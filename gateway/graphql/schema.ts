import { GraphQLDeferDirective, GraphQLSchema, GraphQLStreamDirective } from 'graphql';

/** The schema with the directives of incremental delivery, which are the transport's and not any module's. */
export function withIncrementalDelivery(schema: GraphQLSchema): GraphQLSchema {
  const missing = [GraphQLDeferDirective, GraphQLStreamDirective].filter(({ name }) => !schema.getDirective(name));
  return new GraphQLSchema({ ...schema.toConfig(), directives: [...schema.getDirectives(), ...missing] });
}
