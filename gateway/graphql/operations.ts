import {
  GraphQLError,
  validateExecutionArgs,
  type DocumentNode,
  type ExecutionArgs,
  type ValidatedExecutionArgs,
  type ValidatedSubscriptionArgs,
} from 'graphql';
import type { RequestContext } from '#core/context.ts';
import { noteDenial } from '#core/denial.ts';
import type { Criticality } from '#core/criticality.ts';
import { toWeirError, WeirError } from '#core/errors.ts';
import { perCall } from '#core/price.ts';
import { costOf, type Standing } from '#core/reservation.ts';
import type { IncrementalFormat } from './accept.ts';
import { AnswerDesk } from './answers/desk.ts';
import { resultOf, type KeptAnswer } from './answers/kept-answer.ts';
import type { Documents } from './documents/documents.ts';
import { CallTrace } from '#core/call-trace.ts';
import { denial } from '#policies/auth/field-guard.ts';
import type { ItemizedPrice } from '#policies/cost/cost.ts';
import { admitCost } from '#policies/cost/enforce.ts';
import { enforceDeadline } from './cancellation.ts';
import type { Engine } from './engine.ts';
import { costTold } from './cost-report.ts';
import { explain, type Explanation } from './explain.ts';
import { cachingOf } from './explain-caching.ts';
import { explainMode, type ExplainMode } from './explain-mode.ts';
import { executeAs, partsOf, type PartedResult } from './incremental.ts';
import { OperationRecords, type OperationOutcome, type OperationRecord } from './operation-record.ts';
import { peek, type GraphqlParameters } from './parameters.ts';
import type { PreparedOperation } from './prepare.ts';
import { refused, refusedAs, refusedResult, type Refusal } from './refusal.ts';
import { formatResult, type RawResult, type Result } from './result.ts';
import { ResultStream } from './result-stream.ts';
import type { TrustedDocuments } from './documents/trusted.ts';
import { checkDelivery, selectOperation, type Delivery } from './selection.ts';
import { splitBatches } from './split-batches.ts';
import { Subscriptions } from './subscriptions.ts';

/** What an operation came to: one result, or several in a row. */
export type Outcome =
  | {
      readonly kind: 'result';
      readonly result: Result;
      readonly kept?: KeptAnswer | undefined;
      /** Of what could have been kept and is not. */
      readonly cacheStatus?: string | undefined;
    }
  /** Nothing was executed. */
  | { readonly kind: 'refused'; readonly result: Result; readonly refusal: Refusal }
  | { readonly kind: 'parts' | 'events'; readonly results: ResultStream };

interface OperationRequest extends GraphqlParameters {
  readonly document: DocumentNode;
  readonly operation: PreparedOperation;
  readonly price: ItemizedPrice | undefined;
  readonly free: boolean;
  readonly explain: ExplainMode | undefined;
  /** Caches between keep answers to it. */
  readonly byGet: boolean;
}

/** Errors of one request's variables that are told; more are of the same kind. */
const maxCoercionErrors = 10;

/** Takes operations through their phases, for whichever transport brings them. */
export class Operations {
  readonly #engine: Engine;
  readonly #documents: Documents;
  readonly #records: OperationRecords;
  readonly #subscriptions: Subscriptions;
  readonly #answers: AnswerDesk;

  constructor(engine: Engine) {
    this.#engine = engine;
    this.#documents = engine.documents;
    this.#records = new OperationRecords(engine.clock, engine.meter);
    this.#subscriptions = new Subscriptions(engine);
    this.#answers = new AnswerDesk(engine);
  }

  /**
   * Counts an operation that is no request of its own, one of a batch or on a WebSocket, at the door of its address as a
   * request is. @returns how it is refused there
   */
  enter(context: RequestContext): Outcome | undefined {
    try {
      this.#engine.limits().enter(context);
      return undefined;
    } catch (error) {
      return refuse(context, refusedAs(toWeirError(error)), this.#records.begin(context));
    }
  }

  /** Runs one operation. What is wrong with it, and what fails in it, is an outcome; only defects are thrown. */
  run(context: RequestContext, parameters: GraphqlParameters, delivery: Delivery): Outcome | Promise<Outcome> {
    const record = this.#records.begin(context);
    try {
      const prepared = this.#documents.prepare(parameters, context);
      if ('errors' in prepared) return refuse(context, prepared, record);
      const selected = selectOperation(prepared.operations, parameters.operationName);
      const { facts: operation, criticality, demands, deprecated, price, free } = selected;
      context.operation = operation;
      context.development = this.#engine.settings.development;
      checkDelivery(operation, delivery);
      // The first that knows what the operation is, and the last before work is done for it.
      if (!context.admitted) this.#engine.load.admit(criticality, context.inFlight);
      if (this.#engine.settings.onDenied === 'operation') {
        const denied = denial(demands, context);
        if (denied) throw denied;
      }
      for (const field of deprecated) this.#engine.used(field, context.identity.consumer);
      const mode = explainMode(context, this.#engine.settings);
      const byGet = !delivery.mutations;
      const known = mode ? undefined : this.#answers.find(selected, parameters, context);
      if (known) return settled(this.#answers.give(known, context, record, byGet), asOutcome, context, record);
      const format = prepared.whole === prepared.document ? undefined : delivery.incremental;
      const document = format === undefined ? prepared.whole : prepared.document;
      const request = { document, operation: selected, price, free, explain: mode, byGet, ...parameters };
      return operation.type === 'subscription'
        ? this.#subscribe(request, context, record)
        : this.#execute(request, format, context, record);
    } catch (error) {
      if (error instanceof WeirError) return refuse(context, refusedAs(error), record);
      record.end('failed');
      throw error;
    }
  }

  /**
   * Asks for an operation that comes alone and whose document is known, while load is shed. All others are asked once they
   * are prepared.
   * @returns what it has to wait for until there is time for it
   * @throws {WeirError} `OVERLOADED`
   */
  admitEarly(context: RequestContext): Promise<void> | undefined {
    const { load } = this.#engine;
    if (context.admitted || !load.shedding) return undefined;
    const criticality = this.criticalityOf(peek(context));
    if (criticality === undefined) return undefined;
    load.admit(criticality, context.inFlight);
    context.admitted = true;
    return load.pause();
  }

  /** How much an operation matters whose document is known; undefined for all others. */
  criticalityOf(parameters: GraphqlParameters | undefined): Criticality | undefined {
    const prepared = parameters && this.#documents.known(parameters);
    if (!prepared || 'errors' in prepared) return undefined;
    return operationOf(prepared.operations, parameters.operationName)?.criticality;
  }

  /**
   * Answers a request that comes alone out of the store, or by running an operation that is known to have one result: its
   * document has been prepared already. Undefined where it is neither.
   * @param inParts the client takes what is deferred in parts
   */
  direct(
    context: RequestContext,
    parameters: GraphqlParameters,
    inParts: boolean,
  ): Direct | Promise<Direct> | undefined {
    const prepared = this.#documents.known(parameters);
    if (!prepared || 'errors' in prepared) return undefined;
    const operation = operationOf(prepared.operations, parameters.operationName);
    if (!operation) return undefined;
    const recalled = this.#recall(operation, context, parameters);
    if (recalled) return recalled;
    if (operation.facts.type === 'subscription' || (inParts && prepared.whole !== prepared.document)) return undefined;
    const mutations = context.method === 'POST';
    return this.run(context, parameters, { mutations, subscriptions: false, incremental: undefined });
  }

  /** The answer that lies in the store; undefined where the operation must be run, or refused. */
  #recall(
    operation: PreparedOperation,
    context: RequestContext,
    parameters: GraphqlParameters,
  ): Recalled | Promise<Recalled> | undefined {
    const { load, settings, used } = this.#engine;
    const answer = this.#answers.find(operation, parameters, context);
    if (!answer) return undefined;
    try {
      if (explainMode(context, settings)) return undefined;
      // Counts it, and says whether it may be run at all.
      this.#documents.prepare(parameters, context);
      if (!context.admitted) load.admit(operation.criticality, context.inFlight);
    } catch (error) {
      // Whoever runs it says so.
      if (error instanceof WeirError) return undefined;
      throw error;
    }
    context.operation = operation.facts;
    for (const field of operation.deprecated) used(field, context.identity.consumer);
    const record = this.#records.begin(context);
    try {
      const given = this.#answers.give(answer, context, record, context.method !== 'POST');
      return settled(given, (kept) => kept, context, record);
    } catch (error) {
      return refuse(context, refusedAs(toWeirError(error)), record);
    }
  }

  /** What has to be waited for before {@link run}; undefined when nothing has. */
  fetch(parameters: GraphqlParameters): Promise<void> | undefined {
    return this.#documents.fetch(parameters);
  }

  /** Prepares every document anew from now on. */
  configure(trusted: TrustedDocuments): void {
    this.#documents.configure(trusted);
    this.#engine.answers?.clear();
  }

  /** Completes all subscriptions and takes no more. */
  close(): Promise<void> {
    this.#documents.close();
    return this.#subscriptions.close();
  }

  #execute(
    request: OperationRequest,
    format: IncrementalFormat | undefined,
    context: RequestContext,
    record: OperationRecord,
  ): Outcome | Promise<Outcome> {
    const { execution, settings } = this.#engine;
    context.deadlineMs = Math.min(context.deadlineMs, context.startedMs + settings.timeout);
    const args = this.#validate(request, execution.contextFor(context));
    if (Array.isArray(args)) return refuse(context, refused('BAD_USER_INPUT', args), record);
    this.#admit(request, args, context, true);
    if (request.explain === 'plan') return this.#plan(request, args, context, record);
    const goOn = () => this.#executeCharged(request, args, format, context, record);
    return request.free ? goOn() : this.#charged(context, record, goOn);
  }

  /** Goes on with an operation once it has been charged, at once where nothing has to be asked. */
  #charged(
    context: RequestContext,
    record: OperationRecord,
    goOn: () => Outcome | Promise<Outcome>,
  ): Outcome | Promise<Outcome> {
    // What nothing prices counts as a call.
    const asked = this.#engine.limits().charge(context, context.estimate?.total ?? perCall);
    return asked
      ? asked.then(goOn, (error: unknown) => refuse(context, refusedAs(toWeirError(error)), record))
      : goOn();
  }

  #executeCharged(
    request: OperationRequest,
    args: ValidatedExecutionArgs,
    format: IncrementalFormat | undefined,
    context: RequestContext,
    record: OperationRecord,
  ): Outcome | Promise<Outcome> {
    const { clock, settings } = this.#engine;
    if (request.explain === 'run' || settings.development) context.calls.trace = new CallTrace();
    if (!request.explain) this.#answers.watch(request.operation, context);
    record.execute();
    const inTime = enforceDeadline(context, clock);
    const finish = (result: RawResult | PartedResult): Outcome => {
      const outcome = this.#finish(result, request, args, context, record);
      if ('results' in outcome) outcome.results.onEnd(inTime);
      else inTime();
      return outcome;
    };
    const executed = executeAs(format, args);
    return executed instanceof Promise ? executed.then(finish) : finish(executed);
  }

  #finish(
    result: RawResult | PartedResult,
    request: OperationRequest,
    args: ValidatedExecutionArgs,
    context: RequestContext,
    record: OperationRecord,
  ): Outcome {
    const told = () => this.#told(request, args, context);
    if ('initialResult' in result) return { kind: 'parts', results: this.#parts(result, context, record, told) };
    const kept = this.#answers.keep(result, request.operation, request, context, request.byGet);
    const formatted = this.#format(result, context, kept ? kept.told : told());
    record.end(outcomeOf(formatted));
    this.#watch(request, args, context);
    const cacheStatus = kept || request.explain ? undefined : this.#answers.missed(result, request.operation, context);
    return { kind: 'result', result: formatted, kept, cacheStatus };
  }

  /**
   * Works out what the operation may cost.
   * @param divisible fields may be left out of it
   * @throws {WeirError} `COST_LIMIT_EXCEEDED`
   */
  #admit({ price }: OperationRequest, args: ValidatedExecutionArgs, context: RequestContext, divisible: boolean): void {
    if (!price) return;
    const admitted = admitCost(price, args.variableValues.coerced, this.#engine.settings, divisible);
    context.estimate = admitted.estimate;
    context.leftOut = admitted.leftOut;
  }

  /** What it would cost, and nothing is run. */
  #plan(
    request: OperationRequest,
    args: ValidatedExecutionArgs,
    context: RequestContext,
    record: OperationRecord,
  ): Outcome | Promise<Outcome> {
    const planned = (budget: readonly Standing[] | undefined): Outcome => {
      const explanation = this.#explain(request, args, context, budget);
      record.end('ok');
      return { kind: 'result', result: { data: null, extensions: { explain: explanation } } };
    };
    const budget = this.#budget(context);
    return budget instanceof Promise ? budget.then(planned) : planned(budget);
  }

  /** What is left to who asks; undefined where nobody can say. */
  #budget(context: RequestContext): readonly Standing[] | undefined | Promise<readonly Standing[] | undefined> {
    try {
      const seen = this.#engine.limits().look(context);
      return seen instanceof Promise ? seen.catch(untold) : seen;
    } catch {
      return undefined;
    }
  }

  #explain(
    { price, explain: mode }: OperationRequest,
    { variableValues }: ValidatedExecutionArgs,
    context: RequestContext,
    budget: readonly Standing[] | undefined,
  ): Explanation | undefined {
    const { settings, breakerOf, readsOf, schema } = this.#engine;
    if (!price || !mode) return undefined;
    const surroundings = {
      breakerOf,
      cachedOf: (upstream: string) => readsOf(upstream)?.fromStore,
      maxCost: settings.maxCost,
      budget,
      cachingOf: (field: string) => cachingOf(schema, field),
    };
    return explain(mode, price, variableValues.coerced, context, surroundings);
  }

  /** What the answer says of its cost, if it says anything. */
  #told(
    request: OperationRequest,
    args: ValidatedExecutionArgs,
    context: RequestContext,
  ): Readonly<Record<string, unknown>> | undefined {
    const told = costTold(context, request.explain !== undefined || this.#engine.settings.reportCost);
    if (!told || !request.explain) return told;
    const budget = context.reservation?.standings(costOf(context));
    const explanation = this.#explain(request, args, context, budget);
    return explanation ? { ...told, explain: explanation } : told;
  }

  /** For who writes modules: says which loaders were called more often than they need be. */
  #watch({ price }: OperationRequest, { variableValues }: ValidatedExecutionArgs, context: RequestContext): void {
    const { settings, log } = this.#engine;
    if (!settings.development || !price || !context.calls.trace) return;
    const fields = price.fields(variableValues.coerced, context.leftOut);
    for (const { message, ...split } of splitBatches(fields, context.calls.trace))
      log.warn({ requestId: context.id, ...split }, message);
  }

  #subscribe(request: OperationRequest, context: RequestContext, record: OperationRecord): Outcome | Promise<Outcome> {
    const args = this.#validate(request, undefined);
    if (Array.isArray(args)) return refuse(context, refused('BAD_USER_INPUT', args), record);
    this.#admit(request, args, context, false);
    if (request.explain === 'plan') return this.#plan(request, args, context, record);
    return this.#charged(context, record, () => this.#open(args, context, record));
  }

  #open(args: ValidatedExecutionArgs, context: RequestContext, record: OperationRecord): Outcome | Promise<Outcome> {
    try {
      this.#subscriptions.reserve();
    } catch (error) {
      return refuse(context, refusedAs(toWeirError(error)), record);
    }
    context.sustained = true;
    record.execute();
    return this.#subscriptions
      .open(args as ValidatedSubscriptionArgs, context, record)
      .then((opened) =>
        opened instanceof ResultStream ? { kind: 'events', results: opened } : { kind: 'result', result: opened },
      );
  }

  /** Selects the operation and coerces its variables (GraphQL §6.1). */
  #validate(
    { document, operationName, variables }: OperationRequest,
    contextValue: unknown,
  ): ValidatedExecutionArgs | GraphQLError[] {
    const { schema, settings } = this.#engine;
    const args: ExecutionArgs = {
      schema,
      document,
      contextValue,
      operationName,
      variableValues: variables,
      hideSuggestions: !settings.introspection,
      options: { maxCoercionErrors },
    };
    try {
      const validated = validateExecutionArgs(args);
      return 'schema' in validated ? validated : [...validated];
    } catch (error) {
      // JSON may be nested as deep as its size allows, and values are coerced by recursion.
      if (error instanceof RangeError) return [new GraphQLError('The variables are nested too deep.')];
      throw error;
    }
  }

  #parts(
    result: PartedResult,
    context: RequestContext,
    record: OperationRecord,
    told: () => Readonly<Record<string, unknown>> | undefined,
  ): ResultStream {
    const results = new ResultStream({
      items: partsOf(result),
      format: (part) => this.#format(part, context, told()),
      fail: (cause) => ({ ...this.#format({ errors: [new GraphQLError('', { cause })] }, context), hasNext: false }),
    });
    results.onEnd(() => record.end(context.errorCode === undefined && !context.degraded ? 'ok' : 'partial'));
    return results;
  }

  #format(result: RawResult, context: RequestContext, told?: Readonly<Record<string, unknown>>): Result {
    return formatResult(result, context, (error) => this.#engine.errors.format(error, context), told);
  }
}

/** Nobody can say. */
function untold(): undefined {}

/** What the direct lane gives: out of the store, or what running it came to. */
export type Direct = Recalled | Outcome;

/** From the store, or refused by the limits. */
type Recalled = KeptAnswer | Refused;

type Refused = Extract<Outcome, { kind: 'refused' }>;

/** What a stored answer becomes, or a refusal of the limits. */
function settled<Given>(
  kept: KeptAnswer | Promise<KeptAnswer>,
  as: (kept: KeptAnswer) => Given,
  context: RequestContext,
  record: OperationRecord,
): Given | Promise<Given | Refused> {
  if (!(kept instanceof Promise)) return as(kept);
  return kept.then(as, (error: unknown) => refuse(context, refusedAs(toWeirError(error)), record));
}

/** For transports that put results together themselves. */
function asOutcome(kept: KeptAnswer): Outcome {
  return { kind: 'result', result: resultOf(kept), kept };
}

function operationOf(
  operations: readonly PreparedOperation[],
  name: string | undefined,
): PreparedOperation | undefined {
  return operations.length === 1 && name === undefined
    ? operations[0]
    : operations.find(({ facts }) => facts.name === name);
}

function refuse(context: RequestContext, refusal: Refusal, record: OperationRecord): Refused {
  context.errorCode = refusal.code;
  noteDenial(context, { code: refusal.code, message: refusal.errors[0]?.message ?? '' });
  record.end('refused');
  return { kind: 'refused', result: refusedResult(refusal, context), refusal };
}

function outcomeOf({ data, errors, extensions }: Result): OperationOutcome {
  if (data === null) return 'failed';
  return errors || extensions?.degraded ? 'partial' : 'ok';
}
