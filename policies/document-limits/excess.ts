import type { SourceLocation } from 'graphql';
import { WeirError } from '#core/errors.ts';

/** What of a document is beyond which limit. */
export interface Excess {
  /** As it is called in the configuration under `graphql`, if it can be configured. */
  readonly limit: string;
  readonly maximum: number;
  /** Undefined where counting stopped at the limit. */
  readonly actual: number | undefined;
  readonly where: SourceLocation | undefined;
}

export function limitExceeded({ limit, maximum, actual, where }: Excess, detail: string): WeirError {
  return new WeirError('DOCUMENT_LIMIT_EXCEEDED', {
    detail,
    extensions: {
      limit,
      maximum,
      ...(actual !== undefined && { actual }),
      ...(where && { line: where.line, column: where.column }),
    },
  });
}
