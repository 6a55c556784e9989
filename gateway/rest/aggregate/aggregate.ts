import type { RequestContext } from '#core/context.ts';
import { toWeirError, WeirError, type ErrorCode } from '#core/errors.ts';
import { newCall } from '#upstreams/call.ts';
import { canonicalAccept, canonicalAcceptEncoding } from '#upstreams/canonical.ts';
import { Answer } from '#upstreams/client/answer.ts';
import type { Upstream } from '#upstreams/upstream.ts';
import { replyWithError } from '#gateway/http/error-reply.ts';
import { merge } from './merge.ts';
import { PartTemplate, valueAt, type Values } from './reference.ts';
import { dependenciesOf, type AggregateSettings, type PartSettings } from './settings.ts';

interface Part {
  readonly name: string;
  readonly settings: PartSettings;
  readonly upstream: Upstream;
  readonly path: PartTemplate;
  readonly query: readonly (readonly [string, PartTemplate])[];
  readonly from: readonly string[];
  /** Others whose values it needs. */
  readonly after: readonly string[];
  readonly required: boolean;
}

interface Failure {
  readonly part: Part;
  readonly error: WeirError;
}

/** What one part's call came to; undefined for one that may be missing and is. */
const missing = Symbol('missing');

/** One answer from several calls, some of which wait for others. Each goes through its upstream's stack like any other. */
export class Aggregate {
  readonly #settings: AggregateSettings;
  readonly #parts: readonly Part[];

  constructor(settings: AggregateSettings, upstreams: ReadonlyMap<string, Upstream>) {
    this.#settings = settings;
    const names = Object.keys(settings.parts);
    this.#parts = Object.entries(settings.parts).map(([name, part]) => {
      const others = names.filter((other) => other !== name);
      const upstream = upstreams.get(part.upstream);
      if (!upstream) throw new Error(`The part ${name} names the upstream ${part.upstream}, which does not exist.`);
      return {
        name,
        settings: part,
        upstream,
        path: new PartTemplate(part.path, others),
        query: Object.entries(part.query).map(([key, text]) => [key, new PartTemplate(text, others)] as const),
        from: part.from?.split('.') ?? [],
        after: dependenciesOf(part, others),
        required: !part.optional && part.fallback === undefined,
      };
    });
  }

  /** What all parts cost together. */
  get cost(): number {
    return this.#parts.reduce((sum, { upstream }) => sum + upstream.settings.weight, 0);
  }

  answer(context: RequestContext): void {
    this.#answer(context).catch((thrown: unknown) => replyWithError(context, toWeirError(thrown)));
  }

  async #answer(context: RequestContext): Promise<void> {
    const work = new Work(this.#parts, context);
    await work.required();
    if (work.refused) throw work.refused;
    await work.all();
    const body = Buffer.from(JSON.stringify(merge(this.#settings.parts, work.values)));
    const { failures } = work;
    for (const { part, error } of failures) note(context, part, error);
    if (context.reply.finished) return;
    context.reply.head(200, {
      'content-type': 'application/json',
      'content-length': String(body.length),
      'cache-control': 'no-store',
      'x-weir-completed': String(failures.length === 0),
      ...(failures.length > 0 && { 'x-weir-missing': failures.map(({ part }) => part.name).join(', ') }),
    });
    context.reply.end(context.method === 'HEAD' ? undefined : body);
  }
}

function note(context: RequestContext, { name, upstream, settings }: Part, { code }: WeirError): void {
  context.degraded ??= [];
  const stoodIn = settings.fallback !== undefined;
  context.degraded.push({ path: [name], code, upstream: upstream.name, ...(stoodIn && { fallback: true as const }) });
  if (stoodIn) context.fallback = true;
}

/** The calls of one request. */
class Work {
  readonly values = new Map<string, unknown>();
  readonly failures: Failure[] = [];
  readonly #parts: readonly Part[];
  readonly #context: RequestContext;
  readonly #running = new Map<string, Promise<void>>();
  readonly #failed = new Map<string, WeirError>();
  readonly #givenUp = new AbortController();

  constructor(parts: readonly Part[], context: RequestContext) {
    this.#parts = parts;
    this.#context = context;
    for (const part of parts) void this.#run(part);
  }

  /** Waits for what the answer cannot go without. What it can is given up with it. */
  async required(): Promise<void> {
    await Promise.all(this.#parts.filter(({ required }) => required).map((part) => this.#run(part)));
    if (this.failures.some(({ part }) => part.required)) this.#givenUp.abort();
  }

  async all(): Promise<void> {
    await Promise.all(this.#running.values());
  }

  get refused(): WeirError | undefined {
    return refusalOf(this.failures.filter(({ part }) => part.required));
  }

  #run(part: Part): Promise<void> {
    let running = this.#running.get(part.name);
    if (!running) {
      running = this.#ask(part);
      this.#running.set(part.name, running);
    }
    return running;
  }

  async #ask(part: Part): Promise<void> {
    try {
      if (part.after.length > 0) {
        await Promise.all(part.after.map((name) => this.#run(this.#parts.find((other) => other.name === name)!)));
        const cause = part.after.map((name) => this.#failed.get(name)).find((error) => error !== undefined);
        if (cause) throw cause;
      }
      this.values.set(part.name, await this.#value(part));
    } catch (thrown) {
      const error = toWeirError(thrown);
      this.failures.push({ part, error });
      const { fallback } = part.settings;
      // Whoever needs it gets what stands in for it, if anything does.
      if (fallback === undefined) this.#failed.set(part.name, error);
      this.values.set(part.name, structuredClone(fallback) ?? null);
    }
  }

  async #value(part: Part): Promise<unknown> {
    const target = targetOf(part, this.#context, this.values);
    if (target === missing) return null;
    if (target === nothing) return [];
    const headers = { accept: canonicalAccept(undefined), 'accept-encoding': canonicalAcceptEncoding };
    const timeoutMs = part.settings.timeout;
    const call = newCall(this.#context, 'GET', target, headers, { buffered: true, timeoutMs });
    const answer = await new Promise<unknown>((resolve, reject) => {
      new Answer(part.upstream, call, undefined, resolve, reject).send(this.#givenUp.signal);
    });
    return valueAt(answer, part.from) ?? null;
  }
}

/** An empty list: to ask for none of it could mean to ask for all. */
const nothing = Symbol('nothing');

function targetOf(
  { path, query }: Part,
  context: RequestContext,
  values: Values,
): string | typeof missing | typeof nothing {
  let target = path.path(context, values);
  // What it would be asked by is not there, so neither is it.
  if (target === undefined) return missing;
  let mark = '?';
  for (const [name, template] of query) {
    const items = template.query(context, values);
    if (items === undefined) {
      if (template.parts.length > 0) return missing;
      continue;
    }
    if (items.length === 0) return nothing;
    target += `${mark}${encodeURIComponent(name)}=${items.map(encodeURIComponent).join(',')}`;
    mark = '&';
  }
  return target;
}

/** Of failures of parts that are required: what the client is told. What does not exist is told before what failed. */
function refusalOf(failures: readonly Failure[]): WeirError | undefined {
  if (failures.length === 0) return undefined;
  const parts = failures.map(({ part, error: { code, extensions } }) => ({
    part: part.name,
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
function codeOf({ part, error }: Failure): ErrorCode {
  const status = error.extensions?.upstreamStatus;
  if (status === 404 || status === 410) return 'PART_NOT_FOUND';
  if ((status === 400 || status === 422) && part.after.length === 0) return 'BAD_REQUEST';
  return error.code;
}
