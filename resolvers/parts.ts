import type { RequestContext } from '#core/context.ts';
import { toWeirError, WeirError, type ErrorCode } from '#core/errors.ts';

/** What one part of an answer is to the whole. */
export interface PartTerms {
  readonly name: string;
  /** The answer goes without it: null stands in its place, or `fallback`. */
  readonly optional?: boolean;
  /** Any value that stands in its place where it fails; makes it optional. */
  readonly fallback?: unknown;
  /** Milliseconds that it may take; the times of its calls alone when left out. */
  readonly timeoutMs?: number | undefined;
  /** That is asked for it, for the log and the client. */
  readonly upstream?: string | undefined;
  /** What it asks for comes from other parts, not from the client, so what is refused of it is not the client's fault. */
  readonly dependent?: boolean;
}

/** What is given to the work of a part: it aborts when the part is not wanted any more. */
export interface PartScope {
  readonly signal: AbortSignal;
}

interface Failure {
  readonly terms: PartTerms;
  readonly error: WeirError;
}

/**
 * The parts of one answer: they run at once, or after each other as whoever runs them waits; some may be missing, and those
 * that may not decide what is told instead of the answer. Written as configuration or as code, it is the same.
 */
export class Parts {
  readonly #context: RequestContext;
  readonly #failures: Failure[] = [];
  readonly #required: Promise<unknown>[] = [];
  readonly #all: Promise<unknown>[] = [];
  readonly #givenUp = new AbortController();

  constructor(context: RequestContext) {
    this.#context = context;
  }

  /**
   * Runs a part.
   * @returns its value, or what stands in for it
   * @throws {WeirError} where it fails and may not be missing, and for defects in any case
   */
  run(terms: PartTerms, work: (scope: PartScope) => Promise<unknown>): Promise<unknown> {
    const running = this.#run(terms, work);
    const ended = running.catch(() => undefined);
    this.#all.push(ended);
    if (isRequired(terms)) this.#required.push(ended);
    return running;
  }

  async #run(terms: PartTerms, work: (scope: PartScope) => Promise<unknown>): Promise<unknown> {
    const { name, fallback, timeoutMs } = terms;
    try {
      return await (timeoutMs === undefined ? work(this.#givenUp) : this.#inTime(name, timeoutMs, work));
    } catch (thrown) {
      const error = toWeirError(thrown);
      this.#failures.push({ terms, error });
      // A defect is nothing that a service failed to give.
      if (isRequired(terms) || error.code === 'INTERNAL') throw error;
      return structuredClone(fallback) ?? null;
    }
  }

  #inTime(name: string, timeoutMs: number, work: (scope: PartScope) => Promise<unknown>): Promise<unknown> {
    const own = new AbortController();
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new WeirError('UPSTREAM_TIMEOUT', { detail: `The part '${name}' took more than ${timeoutMs} ms.` }));
        own.abort();
      }, timeoutMs);
      work({ signal: AbortSignal.any([this.#givenUp.signal, own.signal]) })
        .then(resolve, reject)
        .finally(() => clearTimeout(timer));
    });
  }

  /** Why a part is not there; undefined where it is, or where something stands in for it. */
  missing(name: string): WeirError | undefined {
    const failure = this.#failures.find(({ terms }) => terms.name === name && terms.fallback === undefined);
    return failure?.error;
  }

  /** Waits for what the answer cannot go without. What it can is given up with it. */
  async required(): Promise<void> {
    await Promise.all(this.#required);
    if (this.#failures.some(({ terms }) => isRequired(terms))) this.giveUp();
  }

  async all(): Promise<void> {
    await Promise.all(this.#all);
  }

  /** Aborts what is still under way. */
  giveUp(): void {
    this.#givenUp.abort();
  }

  /** What is told instead of an answer; undefined while nothing that is required has failed. */
  get refusal(): WeirError | undefined {
    return refusalOf(this.#failures.filter(({ terms, error }) => isRequired(terms) || error.code === 'INTERNAL'));
  }

  /** Fields of the answer that say whether all of it is there. Notes in the request what is not. */
  completed(): Record<string, string> {
    const context = this.#context;
    for (const { terms, error } of this.#failures) {
      const { name, upstream = error.upstream, fallback } = terms;
      const stoodIn = fallback !== undefined;
      (context.degraded ??= []).push({
        path: [name],
        code: error.code,
        upstream,
        ...(stoodIn && { fallback: true as const }),
      });
      if (stoodIn) context.fallback = true;
    }
    const names = this.#failures.map(({ terms }) => terms.name);
    return {
      'x-weir-completed': String(names.length === 0),
      ...(names.length > 0 && { 'x-weir-missing': names.join(', ') }),
    };
  }
}

function isRequired({ optional = false, fallback }: PartTerms): boolean {
  return !optional && fallback === undefined;
}

/** What a client is told of a failure that it was not meant to hear of as it is: a service's status, seen from outside. */
export function refusalOfCall(error: WeirError): WeirError {
  return refusalOf([{ terms: { name: error.upstream ?? '' }, error }]) ?? error;
}

/** Of failures of parts that are required: what the client is told. What does not exist is told before what failed. */
function refusalOf(failures: readonly Failure[]): WeirError | undefined {
  if (failures.length === 0) return undefined;
  const defect = failures.find(({ error }) => error.code === 'INTERNAL');
  if (defect) return defect.error;
  const parts = failures.map(({ terms, error: { code, extensions } }) => ({
    part: terms.name,
    code,
    ...(extensions?.upstreamStatus !== undefined && { upstreamStatus: extensions.upstreamStatus }),
  }));
  const cause = failures[0]!.error;
  const codes = new Set<ErrorCode>(failures.map((failure) => codeOf(failure)));
  if (codes.has('PART_NOT_FOUND')) return new WeirError('PART_NOT_FOUND', { extensions: { parts }, cause });
  if (codes.has('BAD_REQUEST')) {
    const detail = 'A service behind this path does not take what was asked for.';
    return new WeirError('BAD_REQUEST', { detail, extensions: { parts }, cause });
  }
  // Of one kind it is that; of several, all that is sure is that services failed.
  const [code = 'UPSTREAM_ERROR'] = codes.size === 1 ? codes : [];
  const { upstream, retryAfterS } = cause;
  return new WeirError(code, {
    detail: `Required parts of the answer are missing: ${[...new Set(parts.map(({ part }) => part))].join(', ')}.`,
    ...(failures.length === 1 && upstream !== undefined && { upstream }),
    ...(codes.size === 1 && retryAfterS !== undefined && { retryAfterS }),
    extensions: { parts },
    cause,
  });
}

/** A service's own refusal of what the client named is the client's to hear. */
function codeOf({ terms, error }: Failure): ErrorCode {
  const status = error.extensions?.upstreamStatus;
  if (status === 404 || status === 410) return 'PART_NOT_FOUND';
  if ((status === 400 || status === 422) && terms.dependent !== true) return 'BAD_REQUEST';
  return error.code;
}
