/** Errors as RFC 9457 problem documents. Handlers throw a Problem; the server turns it into the answer. */

export type Issue = {
  /** Where: a JSON Pointer into the body, or the name of a query parameter. */
  at: string;
  detail: string;
};

const titles: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  404: 'Not Found',
  405: 'Method Not Allowed',
  409: 'Conflict',
  412: 'Precondition Failed',
  413: 'Content Too Large',
  415: 'Unsupported Media Type',
  422: 'Unprocessable Content',
  426: 'Upgrade Required',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
};

export class Problem extends Error {
  readonly status: number;
  readonly issues: readonly Issue[];
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: number,
    detail: string,
    { issues = [], headers = {} }: { issues?: readonly Issue[]; headers?: Readonly<Record<string, string>> } = {},
  ) {
    super(detail);
    this.status = status;
    this.issues = issues;
    this.headers = headers;
  }

  toJSON(): object {
    return {
      type: 'about:blank',
      title: titles[this.status] ?? 'Error',
      status: this.status,
      detail: this.message,
      ...(this.issues.length > 0 && { errors: this.issues }),
    };
  }
}

export function notFound(what: string): Problem {
  return new Problem(404, `There is no ${what}.`);
}
