import { Kind, type DirectiveNode } from 'graphql';
import type { Variables } from './arguments.ts';

/** `@skip` or `@include` by a variable. */
interface Condition {
  readonly variable: string;
  /** What the variable must be. */
  readonly is: boolean;
}

/** All of these must hold; always so when empty. */
export type Conditions = readonly Condition[];

export const always: Conditions = Object.freeze([]);

/**
 * What `@skip` and `@include` ask for, besides what is asked for already (GraphQL §3.13.1, §3.13.2).
 * @returns undefined for what is never there
 */
export function narrowed(above: Conditions, directives: readonly DirectiveNode[] | undefined): Conditions | undefined {
  const found: Condition[] = [];
  for (const { name, arguments: given } of directives ?? []) {
    const wanted = name.value === 'include' ? true : name.value === 'skip' ? false : undefined;
    if (wanted === undefined) continue;
    const value = given?.find((argument) => argument.name.value === 'if')?.value;
    if (value?.kind === Kind.BOOLEAN && value.value !== wanted) return undefined;
    if (value?.kind === Kind.VARIABLE) found.push({ variable: value.name.value, is: wanted });
  }
  return found.length === 0 ? above : [...above, ...found];
}

/** The same for the same conditions. */
export function keyOf(conditions: Conditions): string {
  return conditions.map(({ variable, is }) => `${is ? '+' : '-'}${variable}`).join('');
}

/** A variable without a value, as where none are known yet, leaves nothing out. */
export function holds(conditions: Conditions, variables: Variables): boolean {
  for (const { variable, is } of conditions) {
    const value = variables[variable];
    if (typeof value === 'boolean' && value !== is) return false;
  }
  return true;
}
