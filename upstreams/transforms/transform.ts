import { WeirError } from '#core/errors.ts';
import { Target } from '#upstreams/client/target.ts';
import { ApiDocument, decoded, statusOf, type Operation } from './api-document.ts';
import { EntityTags } from './entity-tags.ts';
import { misfit, type JsonSchema } from './json-schema.ts';
import type {
  AnswerOf,
  AnyAnswer,
  AnyOutgoing,
  AnyRequest,
  AnyResponse,
  OutgoingOf,
  RequestOf,
  ResponseOf,
} from './types.ts';

/** An event of a stream, its data read as JSON. */
export interface TransformedEvent {
  readonly event: string;
  readonly data: unknown;
}

/** A request on its way and back, written down: what `weir check` takes there and back besides what it makes up itself. */
export interface TransformSample<From = unknown, To = unknown> {
  /** As the client sends it. Headers may be left out, and so may what the operation has none of. */
  readonly request: Partial<RequestOf<From>> & { readonly operation: string };
  /** What the service has to be sent, as far as it is written here. */
  readonly becomes?: Partial<OutgoingOf<To>>;
  /** What the service answers. */
  readonly answer?: AnyAnswer;
  /** What the client has to get for it, as far as it is written here. */
  readonly gives?: Partial<AnswerOf<From>>;
}

export interface TransformDefinition<From = unknown, To = unknown> {
  /** Unique among all modules; routes and upstreams name it. */
  readonly name: string;
  /** The version that clients speak, such as `v2`. */
  readonly from: string;
  /** The version that the service speaks. */
  readonly to: string;
  /** The OpenAPI documents of both. `weir types` makes the types of them. */
  readonly documents: { readonly from: URL; readonly to: URL };
  /** What the service is to be sent for a client's request. Header fields that it says nothing of go on as they are. */
  readonly request: (request: RequestOf<NoInfer<From>>) => OutgoingOf<NoInfer<To>>;
  /** What the client gets for an answer of the service; asked for statuses that the service's document speaks of. */
  readonly response: (response: ResponseOf<NoInfer<To>>, request: RequestOf<NoInfer<From>>) => AnswerOf<NoInfer<From>>;
  /** What the client gets for an event of a stream (`text/event-stream`); left out, events go on as they are. */
  readonly event?: (event: TransformedEvent, request: RequestOf<NoInfer<From>>) => TransformedEvent;
  readonly samples?: readonly TransformSample<NoInfer<From>, NoInfer<To>>[];
  /**
   * What may be lost on the way, by JSON pointer: `/request/query/expand`, `/response/body/totals/net_cents`. `*` stands for
   * any one step, such as the items of a list, `**` for any number.
   */
  readonly lossy?: readonly string[];
}

/** A request that has been taken to the service's version. */
export interface Taken {
  /** What it was: the operation of the client's version, as the response is told of it. */
  readonly request: AnyRequest;
  readonly operation: Operation;
  readonly path: string;
  readonly outgoing: AnyOutgoing;
  /** Undefined leaves the body as it came. */
  readonly body: Buffer | undefined;
}

/** What is known of a request before it is read. */
export interface Arriving {
  readonly method: string;
  readonly path: string;
  readonly headers: AnyRequest['headers'];
  readonly body: unknown;
}

/** Two functions between two versions of one API, made ready to run by the documents of both. */
export class Transform {
  readonly name: string;
  readonly definition: TransformDefinition;
  readonly from: ApiDocument;
  readonly to: ApiDocument;
  readonly tags: EntityTags;
  readonly #targets: ReadonlyMap<string, Target>;

  /** @throws {Error} when a document cannot be read */
  constructor(definition: TransformDefinition) {
    this.name = definition.name;
    this.definition = definition;
    this.from = new ApiDocument(definition.documents.from);
    this.to = new ApiDocument(definition.documents.to);
    this.tags = new EntityTags(definition.from);
    this.#targets = new Map(
      this.to.operations.map(({ key, path, separators }) => [key, new Target(definition.name, path, separators)]),
    );
  }

  /**
   * The operation that a request is for, and its parameters.
   * @throws {WeirError} `ROUTE_NOT_FOUND` or `METHOD_NOT_ALLOWED` where the client's version has none
   */
  read({ method, path, headers, body }: Arriving): { readonly operation: Operation; readonly request: AnyRequest } {
    const question = path.indexOf('?');
    const candidates = this.from.at(question < 0 ? path : path.slice(0, question));
    const wanted = method === 'HEAD' ? 'GET' : method;
    const found = candidates.find(({ operation }) => operation.method === wanted);
    if (!found) throw this.#nothingThere(candidates.map(({ operation }) => operation.method));
    const { operation, params } = found;
    const query = question < 0 ? {} : queryOf(path.slice(question + 1), operation);
    return { operation, request: { operation: operation.key, params, query, headers, body } };
  }

  #nothingThere(methods: readonly string[]): WeirError {
    const { from } = this.definition;
    if (methods.length === 0)
      return new WeirError('ROUTE_NOT_FOUND', { detail: `Version ${from} has nothing under this path.` });
    const allow = [...methods, ...(methods.includes('GET') ? ['HEAD'] : [])].join(', ');
    return new WeirError('METHOD_NOT_ALLOWED', {
      detail: `In version ${from} this path takes ${allow}.`,
      headers: { allow },
    });
  }

  /**
   * What the service is sent.
   * @throws whatever the module's function throws, and for a result that is no request of the service
   */
  take(request: AnyRequest): Taken {
    const outgoing: AnyOutgoing = this.definition.request(request);
    const { operation: key, params, query, body } = outgoing;
    const operation = this.to.get(key);
    if (!operation) throw new TypeError(`'${key}' is no operation of version ${this.definition.to}`);
    return {
      request,
      operation,
      path: this.#targets.get(key)!.fill(params, query),
      outgoing,
      body: body === undefined ? undefined : Buffer.from(JSON.stringify(body)),
    };
  }

  /**
   * What the client gets.
   * @throws whatever the module's function throws
   */
  bring(
    { request, operation }: Pick<Taken, 'request' | 'operation'>,
    response: Omit<AnyResponse, 'operation'>,
  ): AnyAnswer {
    return this.definition.response({ operation: operation.key, ...response }, request);
  }

  /** Whether the service's document speaks of an answer, so that the transform is asked about it. */
  speaksOf(operation: Operation, status: number): { readonly schema: JsonSchema | undefined } | undefined {
    return statusOf(operation, status);
  }

  /**
   * Holds a request's body against what its type promises to the module's function.
   * @throws {WeirError} `BAD_REQUEST` with a JSON pointer
   */
  check({ body, bodyRequired }: Operation, value: unknown): void {
    if (!body || (value === undefined && !bodyRequired)) return;
    const found = value === undefined ? { pointer: '', expected: 'a body' } : misfit(body, value, this.from.resolve);
    if (!found) return;
    const { pointer, expected } = found;
    throw new WeirError('BAD_REQUEST', {
      detail: `The body does not fit at '${pointer}': expected ${expected}.`,
      extensions: { errors: [{ pointer, detail: `expected ${expected}` }] },
    });
  }
}

/**
 * Defines how clients of one version of an API are served by a service of another. Both functions are plain: what they are
 * given they leave as it is, and they wait for nothing. `weir check` takes samples and made-up values through them.
 * @throws {Error} when a document cannot be read
 */
export function defineTransform<From = unknown, To = unknown>(definition: TransformDefinition<From, To>): Transform {
  return new Transform(definition as unknown as TransformDefinition);
}

/** Lists come as lists, however they are written; all else as the text that it is. A parameter that is no list but comes twice is one. */
function queryOf(text: string, { separators, parameters }: Operation): Record<string, string | readonly string[]> {
  const query: Record<string, string | string[]> = {};
  for (const pair of text.split('&')) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    const name = formDecoded(equals < 0 ? pair : pair.slice(0, equals));
    const raw = equals < 0 ? '' : pair.slice(equals + 1);
    const separator = separators.get(name);
    const before = query[name];
    if (separator !== undefined || isList(name, parameters)) {
      const items = separator === undefined ? [raw] : raw === '' ? [] : raw.split(separator);
      query[name] = [...(Array.isArray(before) ? before : []), ...items.map(formDecoded)];
    } else if (before === undefined) query[name] = formDecoded(raw);
    else query[name] = [...(Array.isArray(before) ? before : [before]), formDecoded(raw)];
  }
  return query;
}

function isList(name: string, parameters: Operation['parameters']): boolean {
  return parameters.some(
    (parameter) => parameter.place === 'query' && parameter.name === name && parameter.schema.type === 'array',
  );
}

/** WHATWG URL §5.1: in a query, a plus is a space. */
function formDecoded(text: string): string {
  return decoded(text.replaceAll('+', ' '));
}
