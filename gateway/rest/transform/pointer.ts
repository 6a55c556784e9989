const maxDepth = 16;

/** What is wrong with a JSON Pointer (RFC 6901 §3); undefined when nothing is. */
export function pointerProblem(text: string): string | undefined {
  if (!text.startsWith('/')) return 'write a JSON Pointer such as /customer/name or /items/*/price';
  if (/~(?![01])/.test(text)) return 'has a ~ that is no escape (RFC 6901 §3); write ~0 for ~ and ~1 for /';
  const tokens = pointerTokens(text);
  if (tokens.length > maxDepth) return `is deeper than ${maxDepth}; write a shorter one`;
  // It would change what every object has.
  return tokens.includes('__proto__') ? 'names __proto__, which is no field; write another' : undefined;
}

/** Without escapes; `*` stands for each item of an array. */
export function pointerTokens(text: string): string[] {
  return text
    .slice(1)
    .split('/')
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'));
}

type Container = Record<string, unknown> | unknown[];

/** A place in JSON, or many: the token `*` stands for each item of an array. */
export class Pointer {
  readonly #parents: readonly string[];
  readonly #last: string;

  constructor(text: string) {
    const tokens = pointerTokens(text);
    this.#last = tokens.pop()!;
    this.#parents = tokens;
  }

  /** Calls `visit` with each object or array that the last token is of, and the key there. */
  visit(root: unknown, create: boolean, visit: (container: Container, key: string) => void): void {
    this.#walk(root, 0, create, visit);
  }

  #walk(at: unknown, depth: number, create: boolean, visit: (container: Container, key: string) => void): void {
    if (typeof at !== 'object' || at === null) return;
    const container = at as Container;
    const token = depth < this.#parents.length ? this.#parents[depth]! : this.#last;
    const last = depth === this.#parents.length;
    if (Array.isArray(container)) {
      const keys = token === '*' ? container.keys() : /^(0|[1-9]\d{0,8})$/.test(token) ? [Number(token)] : [];
      for (const key of keys) {
        if (key >= container.length) continue;
        if (last) visit(container, String(key));
        else this.#walk(container[key], depth + 1, create, visit);
      }
    } else if (last) {
      visit(container, token);
    } else {
      if (create && !Object.hasOwn(container, token)) container[token] = {};
      if (Object.hasOwn(container, token)) this.#walk(container[token], depth + 1, create, visit);
    }
  }
}
