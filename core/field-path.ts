/** Where a field stands in an answer, from itself up to the root, as graphql-js has it. */
export interface FieldPath {
  readonly prev: FieldPath | undefined;
  readonly key: string | number;
}

/** From the root down. */
export function pathKeys(path: FieldPath): (string | number)[] {
  const keys: (string | number)[] = [];
  for (let at: FieldPath | undefined = path; at; at = at.prev) keys.push(at.key);
  return keys.reverse();
}
