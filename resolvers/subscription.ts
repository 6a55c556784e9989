import type { GraphQLResolveInfo } from 'graphql';
import { WeirError } from '#core/errors.ts';
import { incomingOf, type ExecutionContext } from './execution-context.ts';
import type { FieldResolver, ModuleFunction } from './fields.ts';
import type { ModuleRuntime } from './runtime.ts';

/** An event as the module gave it, or the error that its stream ended with. */
type Outcome = { readonly value: unknown } | { readonly error: unknown };

interface SubscriptionField {
  readonly subscribe: (
    parent: unknown,
    args: unknown,
    context: ExecutionContext,
    info: GraphQLResolveInfo,
  ) => AsyncIterable<Outcome>;
  readonly resolve: FieldResolver;
}

/**
 * A root field of Subscription, from a function that gives its events. A stream that fails ends with one more response,
 * which says so: an error thrown into the transport would end the client's other subscriptions too.
 */
export function subscriptionField(run: ModuleFunction, module: ModuleRuntime): SubscriptionField {
  return {
    subscribe: (parent, args, context, info) =>
      new Outcomes(context, () => run(parent, args, context.of(module), info) as Events | Promise<Events>),
    resolve: (event, _args, context) => {
      context.forget();
      incomingOf(context).degraded = undefined;
      const outcome = event as Outcome;
      if ('error' in outcome) throw outcome.error;
      return outcome.value;
    },
  };
}

type Events = AsyncIterable<unknown>;

const unsubscribed = new WeirError('CLIENT_CLOSED_REQUEST', { detail: 'The client ended its subscription.' });

const done: IteratorResult<Outcome, undefined> = { done: true, value: undefined };

class Outcomes implements AsyncIterableIterator<Outcome, undefined, undefined> {
  readonly #context: ExecutionContext;
  readonly #open: () => Events | Promise<Events>;
  #source: AsyncIterator<unknown> | undefined;
  #over = false;

  constructor(context: ExecutionContext, open: () => Events | Promise<Events>) {
    this.#context = context;
    this.#open = open;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Outcome, undefined>> {
    const outcome = this.#isOver() ? undefined : await this.#read();
    if (!outcome || this.#isOver()) return done;
    this.#over = 'error' in outcome;
    return { done: false, value: outcome };
  }

  /** A generator that waits for its next event does not hear of its end; what it waits for does. */
  async return(): Promise<IteratorResult<Outcome, undefined>> {
    this.#over = true;
    incomingOf(this.#context).cancellation.cancel(unsubscribed);
    this.#source?.return?.().catch(() => undefined);
    return done;
  }

  async #read(): Promise<Outcome | undefined> {
    try {
      this.#source ??= (await this.#open())[Symbol.asyncIterator]();
      const step = await this.#source.next();
      return step.done ? undefined : { value: step.value };
    } catch (error) {
      return { error };
    }
  }

  #isOver(): boolean {
    return this.#over;
  }
}
