import { systemClock } from '#core/clock.ts';
import { WeirError } from '#core/errors.ts';
import { admitCost } from '#policies/cost/enforce.ts';
import { ownContext } from '#upstreams/own-context.ts';
import { inspect } from '#gateway/assembly.ts';
import type { GatewayConfig } from '#gateway/config/schema.ts';
import { explain as explained, type ExplainedField, type Explanation } from '#gateway/graphql/explain.ts';
import { openProject } from '#gateway/project.ts';
import { UsageError, type Arguments } from './arguments.ts';
import { OperationFiles, readJsonObject, type OperationOfFile } from './prepared-operations.ts';
import type { Terminal } from './terminal.ts';

/** Prints what the operations of a file may cost, field by field. Nothing is connected. */
export async function explain(args: Arguments, terminal: Terminal): Promise<number> {
  const [file] = args.operands;
  if (file === undefined) throw new UsageError("'weir explain' needs a file with a GraphQL operation");
  const project = await openProject(args);
  const { config } = project.loaded;
  const files = new OperationFiles(config, inspect(project));
  const found = files.read(file, args.variables === undefined ? {} : readJsonObject(args.variables));
  const operations = args.name === undefined ? found : found.filter(({ name }) => name === args.name);
  if (operations.length === 0) throw new UsageError(`${file} has no operation ${args.name ?? ''}`.trim());
  const plans = operations.map((operation) => planOf(operation, config));
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

function planOf({ name, type, price, variables, unknown }: OperationOfFile, { graphql }: GatewayConfig): Plan {
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
  // A breaker is a running gateway's.
  const surroundings = { breakerOf: () => undefined, maxCost: graphql.maxCost };
  const { mode: _, cost, ...plan } = explained('plan', price, variables, context, surroundings);
  const common = { operation: name, type, estimated: cost?.estimated ?? 0, unknown, ...plan };
  return refused === undefined ? common : { ...common, refused };
}

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
    ...(leftOut ? [`  left out, by graphql.maxCostPerUpstream: the fields of ${leftOut.join(', ')}`] : []),
    ...(refused === undefined ? [] : [`  refused: ${refused}`]),
    '',
  ].join('\n');
}

function cells({ path, upstream = '', parents, calls, objects, cost }: ExplainedField): readonly string[] {
  const keys = path.split('.');
  const indented = '  '.repeat(keys.length - 1) + keys.at(-1)!;
  return [indented, upstream, String(parents), String(calls), String(objects), amount(cost)];
}

function amount(calls: number): string {
  return String(Math.round(calls * 100) / 100);
}
