/**
 * The variables that an operation declares, as a text: the same for two requests only if they mean the same. The order of the members
 * of an object means nothing, a variable that is left out is not one that is null.
 */
export function variablesKey(
  declared: readonly string[],
  variables: Readonly<Record<string, unknown>> | undefined,
): string {
  if (variables === undefined || declared.length === 0) return '';
  let key = '';
  for (const name of declared) {
    const value = variables[name];
    if (value !== undefined) key += `${name}:${canonical(value)}\n`;
  }
  return key;
}

/** JSON with the members of objects sorted. */
function canonical(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  const members = Object.keys(value)
    .toSorted()
    .map((name) => `${JSON.stringify(name)}:${canonical((value as Readonly<Record<string, unknown>>)[name])}`);
  return `{${members.join(',')}}`;
}
