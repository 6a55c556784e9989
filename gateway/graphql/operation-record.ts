import type { Clock } from '#core/clock.ts';
import type { OperationFacts, RequestContext } from '#core/context.ts';
import type { Histogram, Meter } from '#core/meter.ts';
import { perCall } from '#core/price.ts';
import type { Span } from '#core/trace.ts';

/**
 * `partial`: some fields are missing. `failed`: executed, without data. `refused`: not executed, for what the client sent
 * or because there is no room.
 */
export type OperationOutcome = 'ok' | 'partial' | 'failed' | 'refused';

/** In calls. */
const deltaBounds: readonly number[] = [-100, -10, -1, 0, 1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000];

/** Operations that are told apart by name: of documents that the operator has listed, over all reloads. */
const maxNamed = 500;

/** Characters of an operation's name in a span; clients choose it. */
const maxName = 128;

/** What is measured of operations. Their names are the clients' to choose, so they are in spans only. */
export class OperationRecords {
  readonly #clock: Clock;
  readonly #durations: (type: string, outcome: OperationOutcome) => Histogram;
  /** By how much estimates were above what operations came to. */
  readonly #delta: (operation: OperationFacts) => Histogram;

  constructor(clock: Clock, meter: Meter) {
    this.#clock = clock;
    const family = meter.histogram('weir.graphql.operation.duration', {
      description: 'Duration of GraphQL operations, to the last part of the answer',
      unit: 's',
    });
    const deltas = meter.histogram('weir.cost.delta', {
      description:
        'What operations were estimated to cost less what their calls did; below 0 a loader was called more often than it need be',
      unit: '{call}',
      bounds: deltaBounds,
    });
    const named = new Map<string, Histogram>();
    this.#delta = ({ name, type, listed }) => {
      // The names of others are the clients' to choose.
      const own = listed && name !== undefined && (named.size < maxNamed || named.has(`${type} ${name}`)) ? name : '';
      const key = `${type} ${own}`;
      let histogram = named.get(key);
      if (!histogram) {
        const attributes = { 'graphql.operation.type': type, ...(own !== '' && { 'graphql.operation.name': own }) };
        named.set(key, (histogram = deltas.with(attributes)));
      }
      return histogram;
    };
    const bound = new Map<string, Histogram>();
    this.#durations = (type, outcome) => {
      const key = `${type} ${outcome}`;
      let histogram = bound.get(key);
      if (!histogram)
        bound.set(key, (histogram = family.with({ 'graphql.operation.type': type, 'weir.outcome': outcome })));
      return histogram;
    };
  }

  begin(context: RequestContext): OperationRecord {
    const startedMs = this.#clock.monotonicMs();
    return new OperationRecord(context, (type, outcome, executed) => {
      this.#durations(type, outcome).record((this.#clock.monotonicMs() - startedMs) / 1000);
      const { estimate, operation, calls } = context;
      // A subscription goes on after what its estimate is of.
      if (executed && estimate && operation && type !== 'subscription')
        this.#delta(operation).record((estimate.total - calls.spent) / perCall);
    });
  }
}

/** One operation, from its arrival to its end. */
export class OperationRecord {
  readonly #context: RequestContext;
  readonly #settle: (type: string, outcome: OperationOutcome, executed: boolean) => void;
  readonly #parent: Span;
  #executed = false;
  #span: Span | undefined;

  constructor(context: RequestContext, settle: (type: string, outcome: OperationOutcome, executed: boolean) => void) {
    this.#context = context;
    this.#parent = context.span;
    this.#settle = settle;
  }

  /** The operation is known and about to be executed. */
  execute(): void {
    const { span, operation } = this.#context;
    this.#executed = true;
    if (!span.sampled || !operation) return;
    const { name, type } = operation;
    const shortName = name?.slice(0, maxName);
    this.#span = span.child(shortName === undefined ? type : `${type} ${shortName}`, 'internal');
    this.#span.set('graphql.operation.type', type);
    if (shortName !== undefined) this.#span.set('graphql.operation.name', shortName);
    this.#context.span = this.#span;
  }

  end(outcome: OperationOutcome): void {
    const { operation, errorCode } = this.#context;
    if (outcome !== 'ok' && errorCode !== undefined) this.#span?.fail(errorCode);
    this.#span?.end();
    this.#context.span = this.#parent;
    this.#settle(operation?.type ?? 'unknown', outcome, this.#executed);
  }
}
