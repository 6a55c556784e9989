/**
 * Checks of JSON bodies, small and composable. A check returns the value typed, or reports what is wrong with it;
 * all faults of a body are reported together, since fixing them one answer at a time is tedious.
 */
import { type Issue, Problem } from './problem.ts';

export type Check<T> = (value: unknown, at: string, issues: Issue[]) => T;

type Fields = Record<string, Check<unknown>>;
type Checked<F extends Fields> = { [Key in keyof F]: F[Key] extends Check<infer T> ? T : never };

/** Nobody mends more than this at a time. */
const MAX_ISSUES = 20;

/** Applies a check to a whole body; throws a 400 that lists what was found. */
export function validate<T>(check: Check<T>, body: unknown): T {
  const issues: Issue[] = [];
  const value = check(body, '', issues);
  if (issues.length > 0) {
    throw new Problem(400, 'The body is not what this operation takes.', { issues: issues.slice(0, MAX_ISSUES) });
  }
  return value;
}

/** Every field is required; unknown fields are refused, so that a misspelt one is not silently lost. */
export function object<F extends Fields>(fields: F): Check<Checked<F>> {
  return fieldsOf(fields, true) as Check<Checked<F>>;
}

/** Every field may be absent. */
export function partial<F extends Fields>(fields: F): Check<Partial<Checked<F>>> {
  return fieldsOf(fields, false) as Check<Partial<Checked<F>>>;
}

function fieldsOf(fields: Fields, required: boolean): Check<Record<string, unknown>> {
  return (value, at, issues) => {
    const result: Record<string, unknown> = {};
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      issues.push({ at, detail: 'must be an object' });
      return result;
    }
    const given = value as Record<string, unknown>;
    for (const [key, check] of Object.entries(fields)) {
      if (Object.hasOwn(given, key)) result[key] = check(given[key], `${at}/${key}`, issues);
      else if (required) issues.push({ at: `${at}/${key}`, detail: 'is required' });
    }
    for (const key of Object.keys(given)) {
      if (!Object.hasOwn(fields, key)) issues.push({ at: `${at}/${key.slice(0, 64)}`, detail: 'is not known' });
    }
    return result;
  };
}

export function array<T>(item: Check<T>, { min, max }: { min: number; max: number }): Check<T[]> {
  return (value, at, issues) => {
    if (!Array.isArray(value) || value.length < min || value.length > max) {
      issues.push({ at, detail: `must be a list of ${min} to ${max}` });
      return [];
    }
    return value.map((member, index) => item(member, `${at}/${index}`, issues));
  };
}

function that<T>(accepts: (value: unknown) => boolean, detail: string): Check<T> {
  return (value, at, issues) => {
    if (!accepts(value)) issues.push({ at, detail });
    return value as T;
  };
}

export function text({ max, pattern = /^/ }: { max: number; pattern?: RegExp }): Check<string> {
  return that(
    (value) => typeof value === 'string' && value.trim() !== '' && value.length <= max && pattern.test(value),
    `must be a text of 1 to ${max} characters${pattern.source === '^' ? '' : ` that matches ${pattern.source}`}`,
  );
}

export function integer(min: number, max: number): Check<number> {
  return that(
    (value) => typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max,
    `must be an integer, ${min} to ${max}`,
  );
}

export function number(min: number, max: number): Check<number> {
  return that(
    (value) => typeof value === 'number' && value >= min && value <= max,
    `must be a number, ${min} to ${max}`,
  );
}

export function oneOf<const T extends string>(values: readonly T[]): Check<T> {
  return that((value) => (values as readonly unknown[]).includes(value), `must be one of ${values.join(', ')}`);
}

export const flag: Check<boolean> = that((value) => typeof value === 'boolean', 'must be true or false');

/** Ids are texts, as they are in the answers: "7", not 7. */
export function id(max = 999_999_999): Check<string> {
  return that(
    (value) => typeof value === 'string' && /^[1-9]\d{0,8}$/.test(value) && Number(value) <= max,
    `must be an id, "1" to "${max}"`,
  );
}
