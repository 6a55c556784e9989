import {
  getDirectiveValues,
  getNamedType,
  isLeafType,
  type ConstDirectiveNode,
  type GraphQLDirective,
  type GraphQLField,
  type GraphQLSchema,
} from 'graphql';
import type { Criticality } from '#core/criticality.ts';
import type { CredentialKind } from '#core/identity.ts';

/** `@upstream` as written on a field. */
export interface UpstreamField {
  readonly name: string;
  /** Parents in one call; undefined where each costs a call. */
  readonly batch: number | undefined;
  readonly optional: boolean;
  readonly staleIfError: string | undefined;
  /** JSON, as written. */
  readonly fallback: string | undefined;
}

/** `@listSize` as written on a field. */
export interface ListSize {
  readonly assumedSize: number | undefined;
  readonly slicingArguments: readonly string[];
  readonly sizedFields: readonly string[];
  readonly requireOneSlicingArgument: boolean;
}

type Field = GraphQLField<unknown, unknown>;

export function upstreamOf(schema: GraphQLSchema, field: Field): UpstreamField | undefined {
  const values = valuesOf<UpstreamField>(schema, field, 'upstream');
  return (
    values && {
      name: values.name!,
      batch: values.batch,
      optional: values.optional!,
      staleIfError: values.staleIfError,
      fallback: values.fallback,
    }
  );
}

export function listSizeOf(schema: GraphQLSchema, field: Field): ListSize | undefined {
  const values = valuesOf<ListSize>(schema, field, 'listSize');
  return (
    values && {
      assumedSize: values.assumedSize,
      slicingArguments: values.slicingArguments ?? [],
      sizedFields: values.sizedFields ?? [],
      requireOneSlicingArgument: values.requireOneSlicingArgument!,
    }
  );
}

/** What `@cacheControl` comes to for a field: what is written on it, for the rest what is on the type that it gives. */
export interface CacheControl {
  /** Seconds. */
  readonly maxAge: number | undefined;
  readonly scope: 'PUBLIC' | 'PRIVATE' | undefined;
  readonly inheritMaxAge: boolean;
}

export function cacheControlOf(schema: GraphQLSchema, field: Field): CacheControl | undefined {
  const directive = schema.getDirective('cacheControl');
  if (!directive) return undefined;
  const own = readOn<CacheControl>(directive, field);
  const named = getNamedType(field.type);
  const ofType = isLeafType(named) ? undefined : readOn<CacheControl>(directive, named);
  if (!own && !ofType) return undefined;
  const inheritMaxAge = typeof own?.maxAge !== 'number' && (own?.inheritMaxAge ?? ofType?.inheritMaxAge) === true;
  return {
    maxAge: inheritMaxAge ? undefined : (own?.maxAge ?? ofType?.maxAge),
    scope: own?.scope ?? ofType?.scope,
    inheritMaxAge,
  };
}

/** What of a schema may have a directive. */
interface Annotated {
  readonly astNode?: DirectiveBearer;
  readonly extensionASTNodes?: readonly DirectiveBearer[];
}

/** `@cost` as written on a field, argument, input field or type, in upstream calls. */
export function costOf(schema: GraphQLSchema, bearer: Annotated): number | undefined {
  const directive = schema.getDirective('cost');
  return directive ? readOn<{ readonly weight: number }>(directive, bearer)?.weight : undefined;
}

/** A directive as written on something, or on an extension of it. */
function readOn<T>(
  directive: GraphQLDirective,
  { astNode, extensionASTNodes = [] }: Annotated,
): Partial<T> | undefined {
  for (const node of [astNode, ...extensionASTNodes]) {
    const values = node && getDirectiveValues(directive, node);
    if (values) return values as Partial<T>;
  }
  return undefined;
}

/** `@criticality` as written on a root field. */
export function criticalityOf(schema: GraphQLSchema, field: Field): Criticality | undefined {
  const values = valuesOf<{ readonly level: string }>(schema, field, 'criticality');
  return values && (values.level!.toLowerCase() as Criticality);
}

/** Some root field says how critical it is, so that operations differ. */
export function marksCriticality(schema: GraphQLSchema): boolean {
  const roots = [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()];
  return roots.some(
    (root) => root && Object.values(root.getFields()).some((field) => criticalityOf(schema, field) !== undefined),
  );
}

/** What `@authenticated`, `@requiresScopes` or `@policy` asks for. */
export type AuthDirective =
  | { readonly kind: 'authenticated'; readonly accept: readonly CredentialKind[] | undefined }
  | { readonly kind: 'scopes'; readonly scopes: readonly (readonly string[])[] }
  | { readonly kind: 'rule'; readonly rule: string };

type DirectiveBearer = { readonly directives?: readonly ConstDirectiveNode[] | undefined } | null | undefined;

/** The directives about who may read, as written on a field or type, with their place. */
export function authDirectivesOf(
  schema: GraphQLSchema,
  node: DirectiveBearer,
): readonly { readonly directive: AuthDirective; readonly where: string }[] {
  return (node?.directives ?? []).flatMap((written) => {
    const directive = authDirective(schema, written);
    const { loc } = written;
    return directive ? [{ directive, where: loc ? `${loc.source.name}:${loc.startToken.line}` : 'SDL' }] : [];
  });
}

function authDirective(schema: GraphQLSchema, written: ConstDirectiveNode): AuthDirective | undefined {
  const definition = schema.getDirective(written.name.value);
  if (!definition) return undefined;
  switch (definition.name) {
    case 'authenticated':
      return { kind: 'authenticated', accept: kindsOf(argumentsOf(definition, written).accept) };
    case 'requiresScopes':
      return { kind: 'scopes', scopes: argumentsOf(definition, written).scopes as string[][] };
    case 'policy':
      return { kind: 'rule', rule: argumentsOf(definition, written).rule as string };
    default:
      return undefined;
  }
}

const credentialKinds: Readonly<Record<string, CredentialKind>> = {
  JWT: 'jwt',
  API_KEY: 'apiKey',
  INTROSPECTION: 'introspection',
  MTLS: 'mtls',
};

function kindsOf(names: unknown): readonly CredentialKind[] | undefined {
  return (names as readonly string[] | null | undefined)?.map((name) => credentialKinds[name]!);
}

function argumentsOf(definition: GraphQLDirective, written: ConstDirectiveNode): Readonly<Record<string, unknown>> {
  return getDirectiveValues(definition, { directives: [written] }) ?? {};
}

/** Arguments that were left out and have no default are absent. */
function valuesOf<T>(schema: GraphQLSchema, { astNode }: Field, name: string): Partial<T> | undefined {
  const directive = schema.getDirective(name);
  return directive && astNode ? (getDirectiveValues(directive, astNode) as Partial<T> | undefined) : undefined;
}
