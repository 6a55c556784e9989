import {
  experimentalExecuteRootSelectionSet,
  legacyExecuteRootSelectionSet,
  type ValidatedExecutionArgs,
} from 'graphql';
import type { IncrementalFormat } from './accept.ts';
import { executeOperation } from './executor.ts';
import type { RawResult } from './result.ts';

/** A first result and what comes later, as the engine gives them. */
export interface PartedResult {
  readonly initialResult: RawResult;
  readonly subsequentResults: AsyncGenerator<RawResult, void, void>;
}

/** Executes in one of the two wire formats of `@defer` and `@stream`, or in one go. */
export function executeAs(
  format: IncrementalFormat | undefined,
  args: ValidatedExecutionArgs,
): RawResult | PartedResult | Promise<RawResult | PartedResult> {
  if (format === undefined) return executeOperation(args);
  return format === 'deferSpec=20220824'
    ? legacyExecuteRootSelectionSet(args)
    : experimentalExecuteRootSelectionSet(args);
}

/** All parts in order. What is still under way can be ended while one is waited for. */
export function partsOf({
  initialResult,
  subsequentResults,
}: PartedResult): AsyncIterator<RawResult, unknown, undefined> {
  let begun = false;
  return {
    next() {
      if (begun) return subsequentResults.next();
      begun = true;
      return Promise.resolve({ done: false, value: initialResult });
    },
    return: () => subsequentResults.return(),
  };
}
