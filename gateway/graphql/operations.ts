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
import { WeirError } from '#core/errors.ts';
import type { IncrementalFormat } from './accept.ts';
import type { Documents } from './documents/documents.ts';
import { denial } from '#policies/auth/field-guard.ts';
import { enforceDeadline } from './cancellation.ts';
import type { Engine } from './engine.ts';
import { executeAs, partsOf, type PartedResult } from './incremental.ts';
import { OperationRecords, type OperationOutcome, type OperationRecord } from './operation-record.ts';
import { peek, type GraphqlParameters } from './parameters.ts';
import { refused, refusedAs, refusedResult, type Refusal } from './refusal.ts';
import { formatResult, type RawResult, type Result } from './result.ts';
import { ResultStream } from './result-stream.ts';
import type { TrustedDocuments } from './documents/trusted.ts';
import { checkDelivery, selectOperation, type Delivery } from './selection.ts';
import { Subscriptions } from './subscriptions.ts';

/** What an operation came to: one result, or several in a row. */
export type Outcome =
  | { readonly kind: 'result'; readonly result: Result }
  /** Nothing was executed. */
  | { readonly kind: 'refused'; readonly result: Result; readonly refusal: Refusal }
  | { readonly kind: 'parts' | 'events'; readonly results: ResultStream };

interface OperationRequest extends GraphqlParameters {
  readonly document: DocumentNode;
}

/** Errors of one request's variables that are told; more are of the same kind. */
const maxCoercionErrors = 10;

/** Takes operations through their phases, for whichever transport brings them. */
export class Operations {
  readonly #engine: Engine;
  readonly #documents: Documents;
  readonly #records: OperationRecords;
  readonly #subscriptions: Subscriptions;

  constructor(engine: Engine) {
    this.#engine = engine;
    this.#documents = engine.documents;
    this.#records = new OperationRecords(engine.clock, engine.meter);
    this.#subscriptions = new Subscriptions(engine);
  }

  /** Runs one operation. What is wrong with it, and what fails in it, is an outcome; only defects are thrown. */
  run(context: RequestContext, parameters: GraphqlParameters, delivery: Delivery): Outcome | Promise<Outcome> {
    const record = this.#records.begin(context);
    try {
      const prepared = this.#documents.prepare(parameters, context);
      if ('errors' in prepared) return refuse(context, prepared, record);
      const { facts: operation, criticality, demands } = selectOperation(prepared.operations, parameters.operationName);
      context.operation = operation;
      checkDelivery(operation, delivery);
      // The first that knows what the operation is, and the last before work is done for it.
      if (!context.admitted) this.#engine.load.admit(criticality);
      if (this.#engine.settings.onDenied === 'operation') {
        const denied = denial(demands, context);
        if (denied) throw denied;
      }
      const format = prepared.whole === prepared.document ? undefined : delivery.incremental;
      const document = format === undefined ? prepared.whole : prepared.document;
      return operation.type === 'subscription'
        ? this.#subscribe({ document, ...parameters }, context, record)
        : this.#execute({ document, ...parameters }, format, context, record);
    } catch (error) {
      if (error instanceof WeirError) return refuse(context, refusedAs(error), record);
      record.end('failed');
      throw error;
    }
  }

  /**
   * Asks for an operation that comes alone and whose document is known, while load is shed. All others are asked once they
   * are prepared.
   * @throws {WeirError} `OVERLOADED`
   */
  admitEarly(context: RequestContext): void {
    const { load } = this.#engine;
    if (context.admitted || !load.shedding) return;
    const parameters = peek(context);
    const prepared = parameters && this.#documents.known(parameters);
    if (!prepared || 'errors' in prepared) return;
    const { operationName } = parameters;
    const { operations } = prepared;
    const operation =
      operations.length === 1 ? operations[0] : operations.find(({ facts }) => facts.name === operationName);
    if (!operation) return;
    load.admit(operation.criticality);
    context.admitted = true;
  }

  /** What has to be waited for before {@link run}; undefined when nothing has. */
  fetch(parameters: GraphqlParameters): Promise<void> | undefined {
    return this.#documents.fetch(parameters);
  }

  /** Prepares every document anew from now on. */
  configure(trusted: TrustedDocuments): void {
    this.#documents.configure(trusted);
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
    const { clock, execution, settings } = this.#engine;
    context.deadlineMs = Math.min(context.deadlineMs, context.startedMs + settings.timeout);
    const args = this.#validate(request, execution.contextFor(context));
    if (Array.isArray(args)) return refuse(context, refused('BAD_USER_INPUT', args), record);
    record.execute();
    const inTime = enforceDeadline(context, clock);
    const finish = (result: RawResult | PartedResult): Outcome => {
      const outcome = this.#finish(result, context, record);
      if ('results' in outcome) outcome.results.onEnd(inTime);
      else inTime();
      return outcome;
    };
    const executed = executeAs(format, args);
    return executed instanceof Promise ? executed.then(finish) : finish(executed);
  }

  #finish(result: RawResult | PartedResult, context: RequestContext, record: OperationRecord): Outcome {
    if ('initialResult' in result) return { kind: 'parts', results: this.#parts(result, context, record) };
    const formatted = this.#format(result, context);
    record.end(outcomeOf(formatted));
    return { kind: 'result', result: formatted };
  }

  #subscribe(request: OperationRequest, context: RequestContext, record: OperationRecord): Outcome | Promise<Outcome> {
    const args = this.#validate(request, undefined);
    if (Array.isArray(args)) return refuse(context, refused('BAD_USER_INPUT', args), record);
    this.#subscriptions.reserve();
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

  #parts(result: PartedResult, context: RequestContext, record: OperationRecord): ResultStream {
    const results = new ResultStream({
      items: partsOf(result),
      format: (part) => this.#format(part, context),
      fail: (cause) => ({ ...this.#format({ errors: [new GraphQLError('', { cause })] }, context), hasNext: false }),
    });
    results.onEnd(() => record.end(context.errorCode === undefined && !context.degraded ? 'ok' : 'partial'));
    return results;
  }

  #format(result: RawResult, context: RequestContext): Result {
    return formatResult(result, context, (error) => this.#engine.errors.format(error, context));
  }
}

function refuse(context: RequestContext, refusal: Refusal, record: OperationRecord): Outcome {
  context.errorCode = refusal.code;
  noteDenial(context, { code: refusal.code, message: refusal.errors[0]?.message ?? '' });
  record.end('refused');
  return { kind: 'refused', result: refusedResult(refusal, context), refusal };
}

function outcomeOf({ data, errors, extensions }: Result): OperationOutcome {
  if (data === null) return 'failed';
  return errors || extensions?.degraded ? 'partial' : 'ok';
}
