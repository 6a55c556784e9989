/** A templated path of an OpenAPI document, such as `/orders/{id}`, to match paths against (OpenAPI 3.1 §4.8.8). */
export interface PathTemplate {
  /** Of its parameters, in the order of the groups of `match`. */
  readonly names: readonly string[];
  readonly match: RegExp;
}

export function pathTemplate(path: string): PathTemplate {
  const names: string[] = [];
  const source = path
    .split(/\{([^}]+)\}/)
    .map((part, index) => {
      if (index % 2 === 0) return RegExp.escape(part);
      names.push(part);
      return '([^/]+)';
    })
    .join('');
  return { names, match: new RegExp(`^${source}$`) };
}
