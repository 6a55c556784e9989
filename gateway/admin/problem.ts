import type { NextFunction, Request, Response } from 'express';
import type { Logger } from '#core/log.ts';

export interface Problem {
  readonly status: number;
  readonly title: string;
  /** A sentence: what, why, and what to do. */
  readonly detail?: string;
  readonly [extension: string]: unknown;
}

/** RFC 9457, as the public listener answers too. Its codes are for clients; operators get the sentence. */
export function sendProblem(response: Response, problem: Problem): void {
  response
    .status(problem.status)
    .type('application/problem+json')
    .send(JSON.stringify({ type: 'about:blank', ...problem }));
}

interface HttpError extends Error {
  readonly status?: number;
  readonly type?: string;
}

const known: Readonly<Record<string, Problem>> = {
  'entity.too.large': { status: 413, title: 'The body is too large', detail: 'No change by an operator needs 16 KiB.' },
  'entity.parse.failed': { status: 400, title: 'The body is not JSON' },
  'charset.unsupported': { status: 415, title: 'The charset is not supported', detail: 'Send the body as UTF-8.' },
  'encoding.unsupported': {
    status: 415,
    title: 'The content coding is not supported',
    detail: 'Send the body as it is.',
  },
};

/** Takes the place of Express's own handler, which prints stacks. What nobody expected is in the log alone. */
export function errorHandler(log: Logger) {
  return (error: HttpError, request: Request, response: Response, _next: NextFunction): void => {
    if (response.headersSent) {
      response.destroy();
      return;
    }
    const expected = known[error.type ?? ''];
    if (expected) sendProblem(response, expected);
    else if (error.status !== undefined && error.status >= 400 && error.status < 500)
      sendProblem(response, { status: error.status, title: 'The request cannot be understood' });
    else {
      log.error({ method: request.method, path: request.path, err: error }, 'admin request failed');
      sendProblem(response, {
        status: 500,
        title: 'The gateway failed',
        detail: "A defect of Weir: its log has the cause, under 'admin request failed'.",
      });
    }
  };
}
