import { readdirSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { getVariableValues, Kind, type GraphQLSchema, type OperationDefinitionNode } from 'graphql';
import { perCall } from '#core/price.ts';
import type { ItemizedPrice } from '#policies/cost/cost.ts';
import type { Variables } from '#policies/cost/arguments.ts';
import type { Assembly } from '#gateway/assembly.ts';
import { fileReason } from '#gateway/config/expand.ts';
import type { GatewayConfig } from '#gateway/config/schema.ts';
import { Preparer, type PreparedOperation } from '#gateway/graphql/prepare.ts';
import { withIncrementalDelivery } from '#gateway/graphql/schema.ts';
import { documentPhases } from '#gateway/pipeline.ts';
import { ProblemsError } from '#gateway/problems.ts';
import { Fragments } from './fragments.ts';

/** An operation of a file, as the gateway would run it. */
export interface OperationOfFile {
  readonly name: string | undefined;
  readonly type: string;
  readonly price: ItemizedPrice;
  readonly variables: Variables;
  /** Variables that must be given and were not. */
  readonly unknown: readonly string[];
}

/** Takes documents from files through the phases of the gateway. */
export class OperationFiles {
  readonly schema: GraphQLSchema;
  readonly #preparer: Preparer;

  /** @throws {ProblemsError} where no module brings SDL */
  constructor(config: GatewayConfig, { execution, upstreams }: Assembly) {
    if (!execution) throw new ProblemsError(['There are no operations without modules that bring SDL.']);
    this.schema = withIncrementalDelivery(execution.schema);
    this.#preparer = new Preparer(documentPhases, {
      schema: this.schema,
      settings: config.graphql,
      execution,
      weightOf: (name) => upstreams.get(name)?.settings.weight ?? perCall,
    });
  }

  /**
   * @param fragments that it may spread besides its own
   * @returns none for a file that has fragments alone
   * @throws {ProblemsError} with what the gateway would refuse the document for
   */
  read(file: string, given: Variables, fragments: Fragments): readonly OperationOfFile[] {
    const { text, operations, placeOf } = fragments.complete({ file, text: readText(file) });
    if (!operations) return [];
    const prepared = this.#preparer.prepare(text);
    if ('errors' in prepared) {
      const problems = prepared.errors.map(({ message, locations }) => {
        const place = locations?.[0] ? `${placeOf(locations[0].line)}:${locations[0].column}` : file;
        return `${place}: ${message}`;
      });
      throw new ProblemsError(problems);
    }
    const definitions = prepared.document.definitions.filter(({ kind }) => kind === Kind.OPERATION_DEFINITION);
    return prepared.operations.map(({ facts, price }: PreparedOperation, index) => {
      const definition = definitions[index] as OperationDefinitionNode;
      const { variables, unknown, problems } = coerced(this.schema, definition, given);
      if (problems.length > 0) throw new ProblemsError(problems.map((problem) => `${file}: ${problem}`));
      return { name: facts.name, type: facts.type, price: price!, variables, unknown };
    });
  }
}

/** One by one: what is missing is left open, what is wrong is said. */
function coerced(schema: GraphQLSchema, { variableDefinitions = [] }: OperationDefinitionNode, given: Variables) {
  const variables: Record<string, unknown> = {};
  const unknown: string[] = [];
  const problems: string[] = [];
  for (const definition of variableDefinitions) {
    const name = definition.variable.name.value;
    const { variableValues, errors = [] } = getVariableValues(schema, [definition], given);
    if (variableValues) Object.assign(variables, variableValues.coerced);
    else if (Object.hasOwn(given, name)) problems.push(...errors.map(({ message }) => message));
    else unknown.push(name);
  }
  return { variables, unknown, problems };
}

/** Paths of the documents of a folder, from there, in order. */
export function graphqlFiles(folder: string, recursive: boolean): readonly string[] {
  const names = readdirSync(folder, { recursive, encoding: 'utf8' });
  return names
    .filter((name) => /\.(graphql|gql)$/.test(name))
    .map((name) => name.replaceAll(sep, '/'))
    .toSorted();
}

/** What documents of a folder may spread. @throws {ProblemsError} */
export function fragmentsIn(folder: string, files: readonly string[]): Fragments {
  return new Fragments(files.map((name) => join(folder, name)).map((file) => ({ file, text: readText(file) })));
}

/** @throws {ProblemsError} */
function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new ProblemsError([`${file}: the file ${fileReason(error)}.`]);
  }
}

/** @throws {ProblemsError} for what is no JSON object */
export function readJsonObject(file: string): Readonly<Record<string, unknown>> {
  const text = readText(file);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new ProblemsError([`${file}: the file is no JSON: ${(error as Error).message}.`]);
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new ProblemsError([`${file}: the file holds no JSON object.`]);
}
