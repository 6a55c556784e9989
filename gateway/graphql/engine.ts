import type { GraphQLSchema } from 'graphql';
import type { Clock } from '#core/clock.ts';
import type { Logger } from '#core/log.ts';
import type { Meter } from '#core/meter.ts';
import type { Limits } from '#policies/limits/limits.ts';
import type { Execution } from '#resolvers/execution.ts';
import type { RecentReads } from '#upstreams/cache/recent-reads.ts';
import type { LoadShedder } from '#policies/overload/load-shedder.ts';
import type { Answers } from './answers/answers.ts';
import type { Documents } from './documents/documents.ts';
import type { ErrorFormat } from './error-format.ts';
import type { GraphqlSettings } from './settings.ts';

/** The limits of the configuration that serves now: what operations are charged by, and who asks is told of. */
export type CurrentLimits = () => Pick<Limits, 'charge' | 'enter' | 'look' | 'tell'>;

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
  /** What became of the reads that fields had of an upstream lately. */
  readonly readsOf: (upstream: string) => RecentReads | undefined;
  readonly log: Logger;
  /** Told of each deprecated field that an operation selects, and whose it is. */
  readonly used: (what: string, consumer: string) => void;
  readonly limits: CurrentLimits;
  /** Undefined where none are kept. */
  readonly answers: Answers | undefined;
}
