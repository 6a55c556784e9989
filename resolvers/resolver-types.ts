/** What a module may write under `resolvers`, made from the generated types of the fields and the module's own loaders. */
import type { GraphQLResolveInfo, GraphQLScalarType } from 'graphql';
import type { Loader } from '#upstreams/loaders/loader.ts';
import type { Load, Use } from './load.ts';
import type { RegisteredResolvers } from './register.ts';

/** Uses of the module's loaders that give what the field wants. Before the loaders are known, any. */
type UsesOf<Loaders, Result> = unknown extends Loaders
  ? unknown
  : {
      [Name in keyof Loaders]: Loaders[Name] extends Loader<infer K, infer P, infer Value>
        ? [Value] extends [Result]
          ? Use<Name, K, P>
          : never
        : never;
    }[keyof Loaders];

type FieldResolver<Parent, Args, Context, Result> = (
  parent: Parent,
  args: Args,
  context: Context,
  info: GraphQLResolveInfo,
) => Result | Promise<Result>;

/** A declared load, or a function. */
type FieldOf<Generated, Context, Loaders> = Generated extends (
  parent: infer Parent,
  args: infer Args,
  context: infer _,
  info: infer _,
) => infer Result
  ? | Load<Parent, Args, NoInfer<UsesOf<Loaders, Awaited<Result>>>>
    | FieldResolver<Parent, Args, Context, Awaited<Result>>
  : never;

/** A function that gives the events, as an async generator does. */
type SubscriptionOf<Generated, Context> = Generated extends {
  readonly subscribe: unknown;
  readonly resolve: (event: infer _, args: infer Args, context: infer _, info: infer _) => infer Result;
}
  ? (
      parent: unknown,
      args: Args,
      context: Context,
      info: GraphQLResolveInfo,
    ) => AsyncIterable<Awaited<Result>> | Promise<AsyncIterable<Awaited<Result>>>
  : never;

type TypeOf<Generated, Context, Loaders> = Generated extends GraphQLScalarType
  ? Generated
  : {
      readonly [Field in keyof Generated]?: Field extends `__${string}`
        ? Generated[Field]
        : FieldOf<NonNullable<Generated[Field]>, Context, Loaders>;
    };

type SubscriptionsOf<Generated, Context> = {
  readonly [Field in keyof Generated]?: SubscriptionOf<NonNullable<Generated[Field]>, Context>;
};

type Loose = Readonly<Record<string, unknown>>;

/** Before the first `weir types`. */
type UntypedResolvers<Context> = Readonly<
  Record<
    string,
    GraphQLScalarType | Readonly<Record<string, Load<Loose, Loose> | FieldResolver<Loose, Loose, Context, unknown>>>
  >
>;

/** The resolvers of a module, by GraphQL type and field. */
export type ResolversOf<Context, Loaders> = RegisteredResolvers extends undefined
  ? UntypedResolvers<Context>
  : {
      readonly [Type in keyof RegisteredResolvers]?: Type extends 'Subscription'
        ? SubscriptionsOf<NonNullable<RegisteredResolvers[Type]>, Context>
        : TypeOf<NonNullable<RegisteredResolvers[Type]>, Context, Loaders>;
    };
