import type { RequestContext } from './context.ts';

/**
 * What an operator asked to see in detail for a while, as a port. Where nothing is asked for, `on` is all that is ever
 * looked at: `debug.on && debug.wants(context)`.
 */
export interface DebugLog {
  /** Anything is asked for. */
  readonly on: boolean;
  /** This request is, or what is done for it. */
  wants(context: RequestContext): boolean;
  /** One line. Headers and queries among its fields may be as they came: what is secret in them is hidden here. */
  write(context: RequestContext, fields: DebugFields, message: string): void;
}

export interface DebugFields {
  /** Request or response headers. */
  readonly headers?: Readonly<Record<string, string | string[] | undefined>> | undefined;
  /** With its query. */
  readonly path?: string;
  readonly [field: string]: unknown;
}

export const noDebugLog: DebugLog = { on: false, wants: () => false, write() {} };
