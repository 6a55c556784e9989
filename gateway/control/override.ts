/** What an operator can take hold of. */
export const overrideKinds = ['upstream', 'endpoint', 'route', 'consumer', 'ip', 'limit', 'trace'] as const;

export type OverrideKind = (typeof overrideKinds)[number];

export const overrideActions = ['open', 'close', 'drain', 'block', 'scale', 'debug'] as const;

export type OverrideAction = (typeof overrideActions)[number];

/** What can be done to each. */
export const actionsOf: Readonly<Record<OverrideKind, readonly OverrideAction[]>> = {
  upstream: ['open', 'close'],
  endpoint: ['drain'],
  route: ['debug'],
  consumer: ['debug', 'block'],
  ip: ['block'],
  limit: ['scale'],
  trace: ['debug'],
};

/** Who did it, and why; it goes into the log. */
export interface Operator {
  /** As the operator calls himself: a name for people, no proof. */
  readonly by: string;
  readonly reason?: string;
  /** The address that it came from. */
  readonly from: string;
}

/** What holds something to a state of an operator's choice, until it expires. Plain data: it crosses processes. */
export interface Override extends Operator {
  readonly id: string;
  readonly kind: OverrideKind;
  /** A name; of an endpoint its origin, such as `http://127.0.0.1:5002`; an address or a CIDR block. */
  readonly target: string;
  readonly action: OverrideAction;
  /** Of a limit: how many times what is written, 0.001 to 1000. */
  readonly scale?: number | undefined;
  /** ISO 8601. */
  readonly at: string;
  readonly until: string;
}

/** Which overrides are meant: those that agree with all that is said here. */
export interface OverrideFilter {
  readonly id?: string;
  readonly kind?: OverrideKind;
  readonly target?: string;
  readonly action?: OverrideAction;
}

/** A change by an operator, complete and the same wherever it is carried out: a fleet hands it to each of its processes. */
export type OperatorCommand =
  | { readonly type: 'set'; readonly override: Override }
  | { readonly type: 'remove'; readonly which: OverrideFilter; readonly operator: Operator };

export type CommandReport =
  | {
      readonly ok: true;
      /** What is in force now, of what was set. */
      readonly set?: Override;
      /** What is not in force any more: removed, or replaced by what was set. */
      readonly removed: readonly Override[];
      /** What an operator should know of how it went. */
      readonly note?: string;
    }
  | {
      readonly ok: false;
      /** `unknown`: there is no such target. `conflict`: it would do harm, or there are too many. */
      readonly why: 'unknown' | 'conflict';
      /** A sentence: what, why, and what to do. */
      readonly detail: string;
      /** The targets that there are. */
      readonly known?: readonly string[];
    };

export const maxOverrides = 100;
export const minOverrideMs = 1_000;
export const maxOverrideMs = 86_400_000;
export const defaultOverrideMs = 600_000;

/** What there can be one override of: a consumer may be blocked, and logged in detail. */
export function placeOf({ kind, target, action }: Override): string {
  return action === 'debug' ? `${kind} ${target} debug` : `${kind} ${target}`;
}

export function matches(override: Override, which: OverrideFilter): boolean {
  return (
    (which.id === undefined || which.id === override.id) &&
    (which.kind === undefined || which.kind === override.kind) &&
    (which.target === undefined || which.target === override.target) &&
    (which.action === undefined || which.action === override.action)
  );
}
