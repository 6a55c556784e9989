import { BreakingChangeType, buildSchema, DangerousChangeType, findSchemaChanges } from 'graphql';

/** A difference between two contracts, as a client would feel it. */
export interface ContractChange {
  /** graphql-js's name for it, such as `FIELD_REMOVED`. */
  readonly type: string;
  /** `breaking` fails operations that worked; `dangerous` may change what they get. */
  readonly effect: 'breaking' | 'dangerous';
  readonly description: string;
}

/**
 * What of the contract `before` is no longer kept by `after`, both as SDL; the breaking first.
 * @throws {Error} when one of them is no schema
 */
export function compareContracts(before: string, after: string): ContractChange[] {
  const changes = findSchemaChanges(buildSchema(before), buildSchema(after)).flatMap(({ type, description }) => {
    const effect = type in BreakingChangeType ? 'breaking' : type in DangerousChangeType ? 'dangerous' : undefined;
    return effect ? [{ type, effect, description } as const] : [];
  });
  return changes.sort((a, b) => (a.effect === b.effect ? 0 : a.effect === 'breaking' ? -1 : 1));
}
