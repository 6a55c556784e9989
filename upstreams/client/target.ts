import { WeirError } from '#core/errors.ts';
import type { Separators } from '#upstreams/openapi.ts';

/** An origin-form target, made from a templated path of an OpenAPI document. */
export class Target {
  readonly #upstream: string;
  readonly #separators: Separators;
  /** Alternately text and the name of a parameter, beginning with text. */
  readonly #parts: readonly string[];

  constructor(upstream: string, template: string, separators: Separators) {
    this.#upstream = upstream;
    this.#separators = separators;
    this.#parts = template.split(/\{([^}]*)\}/);
  }

  /** @throws {WeirError} `BAD_USER_INPUT` for a value that no path can carry */
  fill(
    params: Readonly<Record<string, unknown>> | undefined,
    query: Readonly<Record<string, unknown>> | undefined,
  ): string {
    let target = this.#parts[0]!;
    for (let index = 1; index < this.#parts.length; index += 2) {
      target += this.#segment(this.#parts[index]!, params) + this.#parts[index + 1]!;
    }
    let mark = '?';
    for (const name in query) {
      const value = query[name];
      if (value === undefined || value === null) continue;
      target += mark + this.#pair(name, value);
      mark = '&';
    }
    return target;
  }

  /**
   * The same for a path with one parameter.
   * @throws {WeirError} `BAD_USER_INPUT`
   */
  fillOne(value: string): string {
    const [before, name, after] = this.#parts;
    return before! + this.#segment(name!, { [name!]: value }) + after!;
  }

  #segment(name: string, params: Readonly<Record<string, unknown>> | undefined): string {
    const value = text(params?.[name]);
    // RFC 3986 §5.2.4: these would make it another path, and `%2E` is the same as `.` to those who normalize.
    if (value === '' || value === '.' || value === '..') {
      throw new WeirError('BAD_USER_INPUT', { detail: `'${value}' cannot be a ${name}.`, upstream: this.#upstream });
    }
    return encodeURIComponent(value);
  }

  #pair(name: string, value: unknown): string {
    const key = encodeURIComponent(name);
    if (!Array.isArray(value)) return `${key}=${encodeURIComponent(text(value))}`;
    const items = value.map((item) => encodeURIComponent(text(item)));
    // An empty list left out would ask for everything where nothing was meant.
    if (items.length === 0) return `${key}=`;
    const separator = this.#separators.get(name);
    return `${key}=${items.join(separator ?? `&${key}=`)}`;
  }
}

function text(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return value;
    case 'number':
    case 'boolean':
    case 'bigint':
      return String(value);
    default:
      throw new TypeError(`a parameter must be a text, a number, a boolean or a list of these, not ${typeof value}`);
  }
}
