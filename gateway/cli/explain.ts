import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import type { GraphQLSchema } from 'graphql';
import { systemClock } from '#core/clock.ts';
import { WeirError } from '#core/errors.ts';
import { admitCost } from '#policies/cost/enforce.ts';
import { ownContext } from '#upstreams/own-context.ts';
import { inspect } from '#gateway/assembly.ts';
import type { GatewayConfig } from '#gateway/config/schema.ts';
import { cachingOf } from '#gateway/graphql/explain-caching.ts';
import { explain as explained, type ExplainedField, type Explanation } from '#gateway/graphql/explain.ts';
import { openProject } from '#gateway/project.ts';
import { UsageError, type Arguments } from './arguments.ts';
import {
  fragmentsIn,
  graphqlFiles,
  OperationFiles,
  readJsonObject,
  type OperationOfFile,
} from './prepared-operations.ts';
import type { Terminal } from './terminal.ts';

/** Prints what the operations of a file may cost, field by field. Nothing is connected. */
export async function explain(args: Arguments, terminal: Terminal): Promise<number> {
  const [file] = args.operands;
  if (file === undefined) throw new UsageError("'weir explain' needs a file with a GraphQL operation");
  const project = await openProject(args);
  const { config } = project.loaded;
  const files = new OperationFiles(config, inspect(project));
  const folder = dirname(file);
  const fragments = fragmentsIn(folder, existsSync(folder) ? graphqlFiles(folder, false) : []);
  const found = files.read(file, args.variables === undefined ? {} : readJsonObject(args.variables), fragments);
  const operations = args.name === undefined ? found : found.filter(({ name }) => name === args.name);
  if (operations.length === 0) throw new UsageError(`${file} has no operation ${args.name ?? ''}`.trim());
  const plans = operations.map((operation) => planOf(operation, config, files.schema));
  if (args.json) terminal.out(`${JSON.stringify(plans, undefined, 2)}\n`);
  else terminal.out(plans.map(printed).join('\n'));
  return plans.some(({ refused }) => refused !== undefined) ? 1 : 0;
}

interface Plan extends Omit<Explanation, 'mode' | 'cost'> {
  readonly operation: string | undefined;
  readonly type: string;
  readonly estimated: number;
  /** Variables that were not given, as if any value were possible. */
  readonly unknown: readonly string[];
  /** Why the gateway would not run it. */
  readonly refused?: string;
}

function planOf(
  { name, type, price, variables, unknown }: OperationOfFile,
  { graphql }: GatewayConfig,
  schema: GraphQLSchema,
): Plan {
  const context = ownContext(systemClock);
  context.estimate = price.estimate(variables);
  let refused: string | undefined;
  try {
    const { estimate, leftOut } = admitCost(price, variables, graphql, type !== 'subscription');
    context.estimate = estimate;
    context.leftOut = leftOut;
  } catch (error) {
    if (!(error instanceof WeirError)) throw error;
    refused = error.message;
  }
  const surroundings = {
    breakerOf: untold,
    cachedOf: untold,
    maxCost: graphql.maxCost,
    budget: undefined,
    cachingOf: (field: string) => cachingOf(schema, field),
  };
  const { mode: _, cost, ...plan } = explained('plan', price, variables, context, surroundings);
  const common = { operation: name, type, estimated: cost?.estimated ?? 0, unknown, ...plan };
  return refused === undefined ? common : { ...common, refused };
}

/** Breakers, what is stored and what is left are a running gateway's. */
function untold(): undefined {}

const columns = ['field', 'upstream', 'parents', 'calls', 'objects', 'cost'] as const;

function printed(plan: Plan): string {
  const { operation, type, estimated, maxCost, unknown, upstreams, leftOut, refused } = plan;
  const rows = [columns, ...plan.fields.map(cells)];
  const widths = columns.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const lines = rows.map((row) =>
    row
      .map((cell, column) => (column < 2 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join('  ')
      .trimEnd(),
  );
  const shares = Object.entries(upstreams).map(([name, share]) => `${name} ${amount(share.estimated)}`);
  return [
    `${type}${operation === undefined ? '' : ` ${operation}`}: at most ${amount(estimated)} calls; graphql.maxCost is ${amount(maxCost)}`,
    '',
    ...lines.map((line) => `  ${line}`),
    '',
    ...(shares.length > 0 ? [`  by upstream: ${shares.join(', ')}`] : []),
    ...(unknown.length > 0
      ? [`  without a value: ${unknown.map((name) => `$${name}`).join(', ')}; give it by --variables FILE`]
      : []),
    ...keptFields(plan.fields),
    ...(leftOut ? [`  left out, by graphql.maxCostPerUpstream: the fields of ${leftOut.join(', ')}`] : []),
    ...(refused === undefined ? [] : [`  refused: ${refused}`]),
    '',
  ].join('\n');
}

/** What SDL says of keeping what the fields give. */
function keptFields(fields: readonly ExplainedField[]): readonly string[] {
  return fields.flatMap(({ path, caching: { maxAge, scope, staleIfError } = {} }) => {
    const said = [
      ...(maxAge === undefined ? [] : [`kept for ${maxAge} s where its upstream says nothing`]),
      ...(scope === undefined ? [] : [scope === 'PUBLIC' ? 'the same for everybody' : 'for nobody but who asked']),
      ...(staleIfError === undefined ? [] : [`an old answer stands in for ${staleIfError}`]),
    ];
    return said.length === 0 ? [] : [`  ${path}: ${said.join(', ')}`];
  });
}

function cells({ path, upstream = '', parents, calls, objects, cost }: ExplainedField): readonly string[] {
  const keys = path.split('.');
  const indented = '  '.repeat(keys.length - 1) + keys.at(-1)!;
  return [indented, upstream, String(parents), String(calls), String(objects), amount(cost)];
}

function amount(calls: number): string {
  return String(Math.round(calls * 100) / 100);
}
