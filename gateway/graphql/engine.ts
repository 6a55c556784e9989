import type { GraphQLSchema } from 'graphql';
import type { Clock } from '#core/clock.ts';
import type { Logger } from '#core/log.ts';
import type { RequestContext } from '#core/context.ts';
import type { Meter } from '#core/meter.ts';
import type { Execution } from '#resolvers/execution.ts';
import type { LoadShedder } from '#policies/overload/load-shedder.ts';
import type { ErrorFormat } from './error-format.ts';
import type { Documents } from './documents/documents.ts';
import type { GraphqlSettings } from './settings.ts';

/**
 * Charges an operation what it may cost, in thousandths of a call, before it is executed.
 * @throws {WeirError} `RATE_LIMITED`, `COST_EXCEEDS_QUOTA`, `LIMITS_UNAVAILABLE`
 */
export type ChargeOperation = (context: RequestContext, cost: number) => void | Promise<void>;

/** What operations of every kind are executed with. */
export interface Engine {
  /** The modules' schema, with `@defer` and `@stream`. */
  readonly schema: GraphQLSchema;
  readonly execution: Execution;
  readonly settings: GraphqlSettings;
  readonly documents: Documents;
  readonly errors: ErrorFormat;
  readonly clock: Clock;
  readonly meter: Meter;
  readonly load: LoadShedder;
  /** What a call to an upstream costs, in thousandths. */
  readonly weightOf: (upstream: string) => number;
  readonly breakerOf: (upstream: string) => string | undefined;
  readonly log: Logger;
  /** Told of each deprecated field that an operation selects, and whose it is. */
  readonly used: (what: string, consumer: string) => void;
  readonly charge: ChargeOperation;
}
