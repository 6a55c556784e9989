import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { WeirError } from '#core/errors.ts';
import { inCalls, type FieldPrice } from '#policies/cost/cost.ts';
import { admitCost } from '#policies/cost/enforce.ts';
import type { Assembly } from '#gateway/assembly.ts';
import type { GatewayConfig } from '#gateway/config/schema.ts';
import { ProblemsError } from '#gateway/problems.ts';
import type { Findings } from './check.ts';
import type { Fragments } from './fragments.ts';
import {
  fragmentsIn,
  graphqlFiles,
  OperationFiles,
  readJsonObject,
  type OperationOfFile,
} from './prepared-operations.ts';

/** What is recorded of a field, in calls. */
interface RecordedField {
  readonly parents: number;
  readonly calls: number;
  readonly objects: number;
  readonly cost: number;
}

interface RecordedPrice {
  readonly cost: number;
  readonly fields: Readonly<Record<string, RecordedField>>;
}

type Budget = Readonly<Record<string, RecordedPrice>>;

export interface BudgetOptions {
  /** The folder of the operations. */
  readonly operations: string;
  /** The file of their recorded prices. */
  readonly budget: string | undefined;
  /** Record the prices as they are now. */
  readonly write: boolean;
}

/** What `weir check --operations DIR --budget FILE` finds: operations that cannot run, and those that cost more than recorded. */
export function checkBudget(options: BudgetOptions, config: GatewayConfig, assembly: Assembly): Findings {
  const { operations, budget, write } = options;
  const errors: string[] = [];
  const now: Record<string, RecordedPrice> = {};
  const files = new OperationFiles(config, assembly);
  if (!existsSync(operations)) throw new ProblemsError([`--operations ${operations}: there is no such folder.`]);
  const names = graphqlFiles(operations, true);
  const fragments = fragmentsIn(operations, names);
  for (const file of names) {
    try {
      for (const operation of readOperations(files, join(operations, file), fragments)) {
        const key = operation.name === undefined ? file : `${file}#${operation.name}`;
        now[key] = record(operation);
        errors.push(...refusal(key, operation, config));
      }
    } catch (error) {
      if (!(error instanceof ProblemsError)) throw error;
      errors.push(...error.message.split('\n'));
    }
  }
  if (budget === undefined) return { errors, warnings: [] };
  if (write) {
    if (errors.length === 0) writeFileSync(budget, `${JSON.stringify(now, undefined, 2)}\n`);
    return { errors, warnings: [] };
  }
  const before = (existsSync(budget) ? readJsonObject(budget) : {}) as Budget;
  const remedy = `Fix: weir check --operations ${operations} --budget ${budget} --write-budget, if that is its price.`;
  for (const [key, price] of Object.entries(now)) {
    const recorded = before[key];
    if (!recorded) errors.push(`${key} has no price in ${budget}; it is ${price.cost}. ${remedy}`);
    else if (price.cost > recorded.cost)
      errors.push(
        `${key} costs ${price.cost}, where ${budget} has ${recorded.cost}: ${causes(price, recorded)}. ${remedy}`,
      );
  }
  const warnings = Object.keys(before).flatMap((key) =>
    now[key] ? [] : [`${budget} has a price for ${key}, which is gone.`],
  );
  return { errors, warnings };
}

/** With the variables of `NAME.variables.json` beside it, if that is there. */
function readOperations(files: OperationFiles, file: string, fragments: Fragments): readonly OperationOfFile[] {
  const variables = file.replace(/\.(graphql|gql)$/, '.variables.json');
  return files.read(file, existsSync(variables) ? readJsonObject(variables) : {}, fragments);
}

function refusal(key: string, { price, variables, type }: OperationOfFile, { graphql }: GatewayConfig): string[] {
  try {
    admitCost(price, variables, graphql, type !== 'subscription');
    return [];
  } catch (error) {
    if (!(error instanceof WeirError)) throw error;
    return [`${key} would be refused: ${error.message}`];
  }
}

function record({ price, variables }: OperationOfFile): RecordedPrice {
  const { total } = price.estimate(variables);
  const fields: Record<string, RecordedField> = {};
  for (const field of price.fields(variables)) fields[nameOf(field)] = amounts(field);
  return { cost: inCalls(total), fields };
}

/** Objects of several types may have fields of their own at one path. */
function nameOf({ path, field }: FieldPrice): string {
  return `${path} (${field})`;
}

function amounts({ parents, calls, objects, cost }: FieldPrice): RecordedField {
  return { parents, calls, objects, cost: inCalls(cost) };
}

/**
 * The fields that did it: those that are new, or that call or give more though they have no more parents. What is below one
 * only follows.
 */
function causes(now: RecordedPrice, before: RecordedPrice): string {
  const found: string[] = [];
  const tops: string[] = [];
  for (const [name, field] of Object.entries(now.fields)) {
    const path = name.slice(0, name.indexOf(' '));
    if (tops.some((top) => path.startsWith(`${top}.`))) continue;
    const change = changeOf(field, before.fields[name]);
    if (change === undefined) continue;
    tops.push(path);
    found.push(`${name} ${change}`);
  }
  return found.length > 0 ? found.join('; ') : 'its upstreams or its objects cost more than they did';
}

function changeOf(now: RecordedField, before: RecordedField | undefined): string | undefined {
  if (!before) return `is new, for ${now.cost}`;
  if (now.parents > before.parents) return undefined;
  if (now.calls > before.calls) return `takes ${now.calls} calls instead of ${before.calls}`;
  if (now.objects > before.objects) return `gives ${now.objects} objects instead of ${before.objects}`;
  if (now.cost > before.cost) return `costs ${now.cost} instead of ${before.cost}`;
  return undefined;
}
