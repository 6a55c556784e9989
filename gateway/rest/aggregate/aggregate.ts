import type { RequestContext } from '#core/context.ts';
import { perCall } from '#core/price.ts';
import { ExecutionContext } from '#resolvers/execution-context.ts';
import { Parts, type PartTerms } from '#resolvers/parts.ts';
import type { LoaderOfModule } from '#resolvers/module-runtimes.ts';
import { newCall } from '#upstreams/call.ts';
import { canonicalAccept, canonicalAcceptEncoding } from '#upstreams/canonical.ts';
import { Answer } from '#upstreams/client/answer.ts';
import type { CacheOf } from '#upstreams/client/client.ts';
import type { Key } from '#upstreams/loaders/loader.ts';
import type { Upstream } from '#upstreams/upstream.ts';
import type { UpstreamDocument } from '#gateway/contract/documents.ts';
import { sendComposed } from '../composed-answer.ts';
import type { Composition } from '../composed-route.ts';
import { merge } from './merge.ts';
import { PartTemplate, valueAt, type Values } from './reference.ts';
import { dependenciesOf, type AggregateSettings, type PartSettings } from './settings.ts';

/** Where the parts of an aggregate come from. */
export interface PartSources {
  readonly upstreams: ReadonlyMap<string, Upstream>;
  readonly loaders: (name: string) => LoaderOfModule | undefined;
  /** How answers of an upstream may be stored, by the route; undefined for what the upstream's settings say. */
  readonly cache: CacheOf;
}

/** Asks for a part; undefined for one that there is nothing to ask for by, so that it is null. */
type Ask = (context: RequestContext, values: Values, scopes: ExecutionContext, signal: AbortSignal) => Promise<unknown>;

interface Part {
  readonly terms: PartTerms;
  readonly ask: Ask;
  /** In thousandths of a call. */
  readonly cost: number;
  readonly from: readonly string[];
  /** Others whose values it needs. */
  readonly after: readonly string[];
}

/** One answer from several calls, some of which wait for others. Each goes through its upstream's stack like any other. */
export class Aggregate implements Composition {
  readonly tag = 'aggregates';
  readonly document: UpstreamDocument | undefined;
  /** What all parts cost together. */
  readonly cost: number;
  readonly #settings: AggregateSettings;
  readonly #cache: CacheOf;
  readonly #parts: ReadonlyMap<string, Part>;

  constructor(settings: AggregateSettings, sources: PartSources, document: UpstreamDocument | undefined) {
    this.#settings = settings;
    this.document = document;
    this.#cache = sources.cache;
    const names = Object.keys(settings.parts);
    this.#parts = new Map(
      Object.entries(settings.parts).map(([name, part]) => [
        name,
        partOf(
          name,
          part,
          names.filter((other) => other !== name),
          sources,
        ),
      ]),
    );
    this.cost = [...this.#parts.values()].reduce((sum, { cost }) => sum + cost, 0);
  }

  async answer(context: RequestContext): Promise<void> {
    const parts = new Parts(context);
    const scopes = new ExecutionContext(context, this.#cache);
    const values = new Map<string, unknown>();
    const running = new Map<string, Promise<unknown>>();
    const start = (name: string): Promise<unknown> => {
      let started = running.get(name);
      if (!started) {
        const { terms, after, ask, from } = this.#parts.get(name)!;
        started = parts
          .run(terms, async ({ signal }) => {
            await Promise.allSettled(after.map(start));
            const cause = after.map((other) => parts.missing(other)).find((error) => error !== undefined);
            if (cause) throw cause;
            return valueAt(await ask(context, values, scopes, signal), from) ?? null;
          })
          .then((value) => values.set(name, value));
        // Whoever waits for it asks what became of it.
        started.catch(() => undefined);
        running.set(name, started);
      }
      return started;
    };
    for (const name of this.#parts.keys()) void start(name);
    await parts.required();
    if (parts.refusal) throw parts.refusal;
    await Promise.allSettled(running.values());
    sendComposed(context, { body: merge(this.#settings.parts, values), headers: parts.completed() });
  }
}

function partOf(name: string, settings: PartSettings, others: readonly string[], sources: PartSources): Part {
  const after = dependenciesOf(settings, others);
  const { optional, fallback, loader, timeout } = settings;
  const made =
    loader === undefined ? called(name, settings, others, sources) : loaded(loader, settings, others, sources);
  return {
    terms: {
      name,
      optional,
      fallback,
      // Of a call it is the time that its upstream has.
      timeoutMs: loader === undefined ? undefined : timeout,
      upstream: made.upstream,
      dependent: after.length > 0,
    },
    ask: made.ask,
    cost: made.cost,
    from: settings.from?.split('.') ?? [],
    after,
  };
}

interface Made {
  readonly upstream: string | undefined;
  readonly ask: Ask;
  readonly cost: number;
}

function called(
  name: string,
  { upstream: wanted = '', path = '/', query, timeout: timeoutMs }: PartSettings,
  others: readonly string[],
  { upstreams, cache: cacheOf }: PartSources,
): Made {
  const upstream = upstreams.get(wanted);
  if (!upstream) throw new Error(`The part ${name} names the upstream ${wanted}, which does not exist.`);
  const target = new PartTarget(path, query, others);
  const cache = cacheOf(wanted);
  const ask: Ask = (context, values, _, signal) => {
    const found = target.of(context, values);
    if (typeof found !== 'string') return Promise.resolve(found === missing ? null : []);
    const headers = { accept: canonicalAccept(undefined), 'accept-encoding': canonicalAcceptEncoding };
    const call = newCall(context, 'GET', found, headers, { buffered: true, timeoutMs, cache });
    return new Promise((resolve, reject) => {
      new Answer(upstream, call, undefined, resolve, reject).send(signal);
    });
  };
  return { upstream: wanted, ask, cost: upstream.settings.weight };
}

/** By a loader of a module, whose keys go together with those of all else that the request loads. */
function loaded(
  name: string,
  { key = '', params }: PartSettings,
  others: readonly string[],
  { upstreams, loaders }: PartSources,
): Made {
  const found = loaders(name);
  const template = new PartTemplate(key, others);
  const templates = Object.entries(params).flatMap(([param, value]) =>
    typeof value === 'string' ? [[param, new PartTemplate(value, others)] as const] : [],
  );
  const upstream = found?.upstream;
  const ask: Ask = (context, values, scopes) => {
    // That there is none is told at boot.
    const scope = scopes.of(found!.runtime);
    const keys = template.keys(context, values);
    if (keys === undefined) return Promise.resolve(null);
    const filled = templates.map(([param, text]) => [param, text.value(context, values)] as const);
    const own = filled.length === 0 ? params : { ...params, ...Object.fromEntries(filled) };
    const load = (one: Key) => scope.load(found!.loader, one, own, undefined, undefined);
    const loading = typeof keys === 'string' ? load(keys) : Promise.all(keys.map(load));
    // Whoever else has loaded it holds the same object, and parts are changed in place.
    return loading.then((value) => structuredClone(value));
  };
  return { upstream, ask, cost: upstreams.get(upstream ?? '')?.settings.weight ?? perCall };
}

/** What is not there to be asked for; and an empty list, since to ask for none of it could mean to ask for all. */
const missing = Symbol('missing');
const nothing = Symbol('nothing');

/** Path and query of a part. */
class PartTarget {
  readonly #path: PartTemplate;
  readonly #query: readonly (readonly [string, PartTemplate])[];

  constructor(path: string, query: Readonly<Record<string, string>>, others: readonly string[]) {
    this.#path = new PartTemplate(path, others);
    this.#query = Object.entries(query).map(([key, text]) => [key, new PartTemplate(text, others)] as const);
  }

  of(context: RequestContext, values: Values): string | typeof missing | typeof nothing {
    let target = this.#path.path(context, values);
    // What it would be asked by is not there, so neither is it.
    if (target === undefined) return missing;
    let mark = '?';
    for (const [name, template] of this.#query) {
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
}
