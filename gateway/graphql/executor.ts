import { GraphQLError, OperationTypeNode, type ExecutionResult, type ValidatedExecutionArgs } from 'graphql';
import { ensureGraphQLError } from 'graphql/error/ensureGraphQLError.js';
import { collectFields } from 'graphql/execution/collectFields.js';
import { createSharedExecutionContext } from 'graphql/execution/createSharedExecutionContext.js';
import { ExecutorThrowingOnIncremental } from 'graphql/execution/ExecutorThrowingOnIncremental.js';

type Data = Awaited<ReturnType<ExecutorThrowingOnIncremental['executeCollectedRootFields']>>;

/** Executes an operation that has one result. */
export function executeOperation(args: ValidatedExecutionArgs): ExecutionResult | Promise<ExecutionResult> {
  return new OperationExecutor(args).executeRootSelectionSet();
}

/**
 * The reference executor with a frame of its own (docs/adr/0011). The frame of `graphql` lets a result be given up for an
 * `abortSignal`, for which it assigns a function to a property of each executor. V8 puts functions that are written like that
 * into its old space at once, where each keeps all it can see, its request among it, past every scavenge. Weir ends what
 * is under way by the request's cancellation instead, so neither that function is made nor an AbortController, whose abort
 * at the end of each operation makes an exception with its stack.
 */
class OperationExecutor extends ExecutorThrowingOnIncremental {
  readonly #work: LateSignal;

  constructor(args: ValidatedExecutionArgs) {
    const work = new LateSignal();
    super(args, { ...createSharedExecutionContext(undefined), getAbortSignal: () => work.signal });
    this.#work = work;
  }

  /** GraphQL §6.2: the operation's root fields, and the response that they make (§7.1). */
  override executeRootSelectionSetImpl(serially?: boolean): ExecutionResult | Promise<ExecutionResult> {
    let data: Data | Promise<Data>;
    try {
      const { schema, fragments, rootValue, operation, variableValues, hideSuggestions } = this.validatedExecutionArgs;
      const type = schema.getRootType(operation.operation);
      if (!type) {
        const message = `Schema is not configured to execute ${operation.operation} operation.`;
        throw new GraphQLError(message, { nodes: operation });
      }
      const { selectionSet } = operation;
      const fields = collectFields(schema, fragments, variableValues, type, selectionSet, hideSuggestions);
      const inOrder = serially ?? operation.operation === OperationTypeNode.MUTATION;
      const { groupedFieldSet, newDeferUsages } = fields;
      data = this.executeCollectedRootFields(type, rootValue, groupedFieldSet, inOrder, newDeferUsages);
    } catch (error) {
      return this.#failed(error);
    }
    if (!(data instanceof Promise)) return this.#respond(data);
    return data.then(
      (resolved) => this.#respond(resolved),
      (error: unknown) => this.#failed(error),
    );
  }

  #failed(error: unknown): ExecutionResult {
    this.collectedErrors.add(ensureGraphQLError(error), undefined);
    return this.#respond(null);
  }

  /** What fields still do goes for nothing from here on. */
  #respond(data: Data | null): ExecutionResult {
    const result = this.buildResponse(data);
    this.#work.end();
    return this.finish(result);
  }
}

/** Tells resolvers that ask for it, and those alone, that the operation is over. */
class LateSignal {
  #controller: AbortController | undefined;
  #ended = false;

  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController();
      if (this.#ended) this.#controller.abort();
    }
    return this.#controller.signal;
  }

  end(): void {
    this.#ended = true;
    this.#controller?.abort();
  }
}
