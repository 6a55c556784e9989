import type { UpstreamName } from './sicknesses.ts';

/** What the bench tells the callers of one round. */
export interface CallersOrders {
  /** Of the gateway. */
  readonly port: number;
  /** Whom they call. */
  readonly name: UpstreamName;
  readonly perSecond: number;
  readonly seconds: number;
  readonly patienceMs: number;
}

/** And what they say at its end. */
export interface CallersReport {
  readonly calls: number;
  /** By error code, or by status where there is none; `left` are those whose patience ended. */
  readonly outcomes: Readonly<Record<string, number>>;
}
