import {
  createSourceEventStream,
  executeSubscriptionEvent,
  GraphQLError,
  type ValidatedSubscriptionArgs,
} from 'graphql';
import type { RequestContext } from '#core/context.ts';
import { WeirError } from '#core/errors.ts';
import { at, enforceDeadline, followingCancellation } from './cancellation.ts';
import type { Engine } from './engine.ts';
import { account, operationContext } from './operation-context.ts';
import type { OperationRecord } from './operation-record.ts';
import { formatResult, type Result } from './result.ts';
import { ResultStream } from './result-stream.ts';

/** All subscriptions that are open, over SSE and WebSocket. */
export class Subscriptions {
  readonly #engine: Engine;
  readonly #open = new Set<ResultStream>();
  /** Open ones and those about to be. */
  #places = 0;
  #closed = false;

  constructor(engine: Engine) {
    this.#engine = engine;
    engine.meter.observe(
      'weir.graphql.subscriptions.open',
      { kind: 'gauge', unit: '{subscription}', description: 'GraphQL subscriptions that are open', across: 'sum' },
      (report) => report(this.#open.size, {}),
    );
  }

  /**
   * Takes a place for one more.
   * @throws {WeirError} `OVERLOADED`, `SHUTTING_DOWN`, or `BAD_REQUEST` where they are turned off
   */
  reserve(): void {
    const { maxOpen } = this.#engine.settings.subscriptions;
    if (maxOpen === 0) throw new WeirError('BAD_REQUEST', { detail: 'Subscriptions are turned off here.' });
    if (this.#closed) throw new WeirError('SHUTTING_DOWN');
    if (this.#places >= maxOpen)
      throw new WeirError('OVERLOADED', {
        detail: 'As many subscriptions are open as this gateway takes.',
        retryAfterS: 5,
      });
    this.#places++;
  }

  /** Opens one, in a place taken before. It lasts as long as its client allows. */
  async open(
    args: ValidatedSubscriptionArgs,
    context: RequestContext,
    record: OperationRecord,
  ): Promise<Result | ResultStream> {
    const { clock, execution, errors } = this.#engine;
    // Its end is not that of the request which brought it: the answer still has its last words to say.
    const { cancellation, loose } = followingCancellation(context.cancellation);
    const own = operationContext(context, { startedMs: clock.monotonicMs(), cancellation });
    own.deadlineMs = context.deadlineMs;
    const formatError = (error: GraphQLError) => errors.format(error, context);
    const leave = () => {
      this.#places--;
      loose();
      account(context, own);
    };
    const events = await createSourceEventStream({ ...args, contextValue: execution.contextFor(own) });
    if (!(Symbol.asyncIterator in events)) {
      leave();
      record.end('failed');
      return formatResult(events, context, formatError);
    }
    const stream: ResultStream = new ResultStream({
      items: events[Symbol.asyncIterator]() as AsyncIterator<unknown, unknown, undefined>,
      format: (event) => this.#event({ ...args, rootValue: event }, own, context),
      fail: (cause) => ({ errors: [formatError(new GraphQLError('', { cause }))] }),
    });
    const stopWatching = at(own.deadlineMs, clock, () => {
      const over = new WeirError('DEADLINE_EXCEEDED', {
        detail: 'The time is over that the client gave the subscription.',
      });
      stream.fail(over);
      cancellation.cancel(over);
    });
    // Such as a credential that is no more. The next event may be hours away, and is not for this client.
    const link = cancellation.on((reason) => {
      if (reason.code !== 'CLIENT_CLOSED_REQUEST') stream.fail(reason);
    });
    this.#open.add(stream);
    stream.onEnd(() => {
      stopWatching();
      cancellation.off(link);
      this.#open.delete(stream);
      leave();
      record.end('ok');
    });
    if (this.#closed || cancellation.cancelled) await stream.return();
    return stream;
  }

  /** Each event is an operation of its own: loaders that know nothing yet, since the world has changed, and a deadline. */
  async #event(args: ValidatedSubscriptionArgs, own: RequestContext, context: RequestContext): Promise<Result> {
    const { clock, settings, execution, errors } = this.#engine;
    const startedMs = clock.monotonicMs();
    const { cancellation, loose } = followingCancellation(own.cancellation);
    const event = operationContext(own, { startedMs, cancellation });
    event.deadlineMs = Math.min(own.deadlineMs, startedMs + settings.timeout);
    const inTime = enforceDeadline(event, clock);
    try {
      const result = await executeSubscriptionEvent({ ...args, contextValue: execution.contextFor(event) });
      return formatResult(result, event, (error) => errors.format(error, event));
    } finally {
      inTime();
      loose();
      account(context, event);
    }
  }

  /** Completes all of them; clients hear that they are over, not that they broke. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#open].map((stream) => stream.return()));
  }
}
