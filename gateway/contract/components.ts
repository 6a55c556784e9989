import { isMap, type JsonMap } from '#upstreams/service-document.ts';
import type { UpstreamDocument } from './documents.ts';

const reference = /^#\/components\/([^/]+)\/([^/]+)$/;

/**
 * Components of several documents in one, each under the name of its upstream: `orders.Order`. Only what is referred to is
 * taken over.
 */
export class Components {
  readonly #kinds: Record<string, Record<string, unknown>> = {};
  readonly #headers: JsonMap;

  /** @param headers that each answer carries */
  constructor(headers: JsonMap) {
    this.#headers = headers;
  }

  set(kind: string, name: string, value: unknown): void {
    (this.#kinds[kind] ??= {})[name] = value;
  }

  /** Sorted, so that the document does not change with the order of routes. */
  get all(): JsonMap {
    return sorted(Object.fromEntries(Object.entries(this.#kinds).map(([kind, map]) => [kind, sorted(map)])));
  }

  /** A copy whose references lead to components here, which come along. */
  copy(value: unknown, upstream: string, from: UpstreamDocument): unknown {
    if (Array.isArray(value)) return value.map((item) => this.copy(item, upstream, from));
    if (!isMap(value)) return value;
    if (typeof value.$ref === 'string') {
      const $ref = this.#take(value.$ref, upstream, from);
      if ($ref === undefined) return this.copy(from.document.resolve(value), upstream, from);
      return { ...value, $ref };
    }
    const discriminates = typeof value.propertyName === 'string';
    return Object.fromEntries(
      Object.entries(value).map(([key, child]) => [
        key,
        discriminates && key === 'mapping' && isMap(child)
          ? this.#mapping(child, upstream, from)
          : this.copy(child, upstream, from),
      ]),
    );
  }

  /** Of a discriminator (OpenAPI 3.1 §4.8.25): references that do not look like one. */
  #mapping(mapping: JsonMap, upstream: string, from: UpstreamDocument): unknown {
    return Object.fromEntries(
      Object.entries(mapping).map(([name, target]) => {
        const $ref = String(target).startsWith('#') ? String(target) : `#/components/schemas/${String(target)}`;
        return [name, from.document.at($ref) === undefined ? target : (this.#take($ref, upstream, from) ?? target)];
      }),
    );
  }

  /** An answer, with the headers that all have. */
  response(value: unknown, upstream: string, from: UpstreamDocument): unknown {
    const copied = this.copy(value, upstream, from);
    return isMap(copied) && !('$ref' in copied) ? this.#withHeaders(copied) : copied;
  }

  #withHeaders(response: JsonMap): JsonMap {
    return { ...response, headers: { ...(isMap(response.headers) ? response.headers : {}), ...this.#headers } };
  }

  #take($ref: string, upstream: string, from: UpstreamDocument): string | undefined {
    const [, kind, name] = reference.exec($ref) ?? [];
    if (kind === undefined || name === undefined) return undefined;
    const own = `${upstream}.${name}`;
    if (this.#kinds[kind]?.[own] === undefined) {
      // Before its copy is made, which may refer to itself.
      this.set(kind, own, {});
      const copied = this.copy(from.document.at($ref), upstream, from);
      this.set(kind, own, kind === 'responses' && isMap(copied) ? this.#withHeaders(copied) : copied);
    }
    return `#/components/${kind}/${own}`;
  }
}

function sorted(map: JsonMap): JsonMap {
  return Object.fromEntries(Object.entries(map).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
