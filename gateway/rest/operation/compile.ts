import {
  getNamedType,
  getNullableType,
  isInputObjectType,
  isInputType,
  isNonNullType,
  Kind,
  typeFromAST,
  type DocumentNode,
  type GraphQLSchema,
  type OperationDefinitionNode,
} from 'graphql';
import type { TrustedDocuments } from '#gateway/graphql/documents/trusted.ts';
import { jsonResponse, ownDocument, type OwnOperation } from '#gateway/contract/own-document.ts';
import { PathPattern } from '#gateway/routing/pattern.ts';
import type { JsonMap } from '#upstreams/service-document.ts';
import { PartTemplate } from '../aggregate/reference.ts';
import { InputSchemas } from './json-schema.ts';
import { OperationComposition } from './operation.ts';
import { SelectionSchema } from './selection-schema.ts';
import { bodyName, type OperationSettings } from './settings.ts';
import type { Variable, VariableSource } from './variables.ts';

export interface OperationPlace {
  readonly path: string;
  readonly methods: readonly string[] | undefined;
  /** Where the route was written. */
  readonly origin: string;
}

export interface OperationScope {
  /** Undefined where no module brings SDL. */
  readonly schema: GraphQLSchema | undefined;
  readonly trusted: TrustedDocuments;
}

/** Methods whose requests have content (RFC 9110 §9.3). */
const writing: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH']);

/** The methods of a route with this operation: those that it says, else GET for a query and POST for a mutation. */
export function operationMethods(
  settings: OperationSettings,
  written: readonly string[] | undefined,
  { trusted }: Pick<OperationScope, 'trusted'>,
): readonly string[] {
  const found = find(settings, trusted);
  const mutation = 'definition' in found && found.definition.operation === 'mutation';
  return written ?? (mutation ? ['POST'] : ['GET']);
}

/**
 * Makes a stored operation ready to answer a route.
 * @returns it, or everything that does not fit, in sentences without their subject
 */
export function compileOperation(
  settings: OperationSettings,
  place: OperationPlace,
  scope: OperationScope,
): OperationComposition | readonly string[] {
  const { schema, trusted } = scope;
  if (!schema) return ['names a GraphQL operation, but no module brings SDL. Fix: name modules that do, or remove it.'];
  const found = find(settings, trusted);
  if ('problem' in found) return [found.problem];
  const { document, definition } = found;
  const methods = operationMethods(settings, place.methods, scope);
  const problems: string[] = [];
  if (definition.operation === 'subscription')
    problems.push('names a subscription, which has no end. Fix: name a query or a mutation.');
  if (definition.operation === 'mutation' && methods.some((method) => method === 'GET' || method === 'HEAD'))
    problems.push('answers GET by a mutation, but GET is safe (RFC 9110 §9.2.1). Fix: write methods: [POST].');
  const variables = readVariables(definition, settings, { ...place, methods }, schema, problems);
  const root = schema.getRootType(definition.operation);
  const way = settings.result?.split('.') ?? [];
  const answer = root && new SelectionSchema(schema, document).at(root, [definition.selectionSet], way);
  if (!answer)
    problems.push(
      `has the result ${way.join('.')}, which the operation does not select, or which lies in a list. Fix: correct it.`,
    );
  if (problems.length > 0) return problems;
  const name = definition.name?.value;
  const described = describe({ settings, methods, variables, answer: answer!, name });
  return new OperationComposition({
    id: settings.document,
    name,
    variables,
    way,
    status: settings.status,
    errors: settings.errors,
    document: ownDocument(place.path, place.origin, described.operations, described.schemas),
  });
}

function find(
  { document: id, name }: OperationSettings,
  trusted: TrustedDocuments,
): { readonly document: DocumentNode; readonly definition: OperationDefinitionNode } | { readonly problem: string } {
  const known = trusted.byId(id);
  if (!known || !('document' in known.prepared)) {
    const fix = 'Fix: add it to the documents of graphql.documents.path, or correct the id.';
    return { problem: `names the operation '${id}', which is no trusted document. ${fix}` };
  }
  const { document } = known.prepared;
  const operations = document.definitions.filter((definition) => definition.kind === Kind.OPERATION_DEFINITION);
  const named = name === undefined ? operations : operations.filter((definition) => definition.name?.value === name);
  const [definition] = named;
  if (definition && named.length === 1) return { document, definition };
  const names = operations.map((each) => each.name?.value ?? 'one without a name').join(', ');
  return { problem: `does not say which operation of '${id}' it is (there is ${names}). Fix: write it as name.` };
}

function readVariables(
  definition: OperationDefinitionNode,
  settings: OperationSettings,
  { path, methods }: { readonly path: string; readonly methods: readonly string[] },
  schema: GraphQLSchema,
  problems: string[],
): readonly Variable[] {
  const names = new PathPattern(path).names;
  const stated = definition.variableDefinitions ?? [];
  const known = stated.map(({ variable }) => variable.name.value);
  for (const name of Object.keys(settings.variables)) {
    if (known.includes(name)) continue;
    problems.push(
      `gives the variable $${name}, which the operation does not have (it has ${listed(known)}). Fix: correct it.`,
    );
  }
  const writes = methods.every((method) => writing.has(method));
  const variables = stated.flatMap(({ variable, type: written, defaultValue }): Variable[] => {
    const name = variable.name.value;
    const type = typeFromAST(schema, written);
    if (!isInputType(type)) return [];
    const required = isNonNullType(type) && defaultValue === undefined;
    const source = sourceOf(name, settings, names, writes);
    if (source.kind === 'query' && required && isInputObjectType(getNamedType(type)))
      problems.push(`cannot give the variable $${name}, which is an object. Fix: take a method with a body.`);
    return [{ name, type, required, source }];
  });
  const used = new Set(
    variables.flatMap(({ source }) => {
      if (source.kind === 'template') return source.template.params;
      return source.kind === 'path' ? [source.name] : [];
    }),
  );
  for (const name of names)
    if (!used.has(name))
      problems.push(
        `has the parameter ${name}, which no variable takes (there is ${listed(known)}). Fix: rename it, or write variables.`,
      );
  return variables;
}

function sourceOf(
  name: string,
  { variables }: OperationSettings,
  pathNames: readonly string[],
  writes: boolean,
): VariableSource {
  const written = variables[name];
  if (written !== undefined) return { kind: 'template', template: new PartTemplate(written, [bodyName]) };
  if (pathNames.includes(name)) return { kind: 'path', name };
  return { kind: writes ? 'field' : 'query', name };
}

interface Described {
  readonly settings: OperationSettings;
  readonly methods: readonly string[];
  readonly variables: readonly Variable[];
  readonly answer: JsonMap;
  readonly name: string | undefined;
}

/** What clients of the route write and get. */
function describe({ settings, methods, variables, answer, name }: Described): {
  readonly operations: readonly OwnOperation[];
  readonly schemas: Readonly<Record<string, JsonMap>>;
} {
  const inputs = new InputSchemas();
  const parameters: JsonMap[] = [];
  const fields: Record<string, JsonMap> = {};
  const requiredFields: string[] = [];
  let whole: JsonMap | undefined;
  for (const { type, required, source } of variables) {
    const place = placeOf(source);
    if (!place) continue;
    const schema = inputs.given(getNullableType(type));
    if (place.in === 'body') {
      if (place.name === undefined) whole = schema;
      else {
        fields[place.name] = inputs.of(type);
        if (required) requiredFields.push(place.name);
      }
    } else parameters.push({ name: place.name, in: place.in, required: place.in === 'path' || required, schema });
  }
  const object = { type: 'object', required: requiredFields, properties: fields };
  const body = whole ?? (Object.keys(fields).length > 0 ? object : undefined);
  const required = whole !== undefined || requiredFields.length > 0;
  const operations = methods
    .filter((method) => method !== 'HEAD')
    .map((method) => ({
      method,
      operation: {
        ...(name !== undefined && { operationId: name }),
        summary: `Answered by the operation ${name ?? settings.document}`,
        parameters,
        ...(body &&
          writing.has(method) && { requestBody: { required, content: { 'application/json': { schema: body } } } }),
        responses: { [settings.status]: jsonResponse('What the operation gives.', answer) },
      },
    }));
  return { operations, schemas: inputs.components };
}

interface Place {
  readonly in: 'path' | 'query' | 'body';
  readonly name: string | undefined;
}

/** What a client writes a variable in, where that is one thing. */
function placeOf(source: VariableSource): Place | undefined {
  if (source.kind !== 'template') return { in: source.kind === 'field' ? 'body' : source.kind, name: source.name };
  const [only, ...others] = source.template.names;
  if (only === undefined || others.length > 0) return undefined;
  const [family, name, ...deeper] = only.split('.');
  if (deeper.length > 0) return undefined;
  if (family === bodyName) return { in: 'body', name };
  if (family === 'params') return { in: 'path', name };
  return family === 'query' ? { in: 'query', name } : undefined;
}

function listed(names: readonly string[]): string {
  return names.join(', ') || 'none';
}
