/**
 * Where the generated types meet `defineModule`: `weir types` writes a file that adds `resolvers` here, the types of all
 * fields of the schema, and every module is checked against them without naming them.
 */
export interface Register {
  /** The form of what is added. */
  readonly form: 1;
}

/** Whether types have been generated, and if so, those of the resolvers by GraphQL type. */
export type RegisteredResolvers = Register extends { readonly resolvers: infer Resolvers } ? Resolvers : undefined;
