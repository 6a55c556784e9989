/** What shapes a loader's call besides its keys, by name: texts, numbers, and lists and objects of these. */
export type Params = Readonly<Record<string, unknown>>;

export const noParams: Params = Object.freeze({});

/** Whether two loads may share a call. What is undefined is as good as left out. */
export function sameParams(a: Params, b: Params): boolean {
  if (a === b) return true;
  for (const name in a) if (!same(a[name], b[name])) return false;
  for (const name in b) if (b[name] !== undefined && a[name] === undefined) return false;
  return true;
}

function same(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a) || Array.isArray(b)) {
    return (
      Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((item, index) => same(item, b[index]))
    );
  }
  return sameParams(a as Params, b as Params);
}
