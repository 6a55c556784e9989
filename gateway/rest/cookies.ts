/**
 * What is left of a Cookie field (RFC 6265 §5.4) when only cookies of these names may pass.
 * @returns undefined where none is left
 */
export function allowedCookies(field: string | undefined, names: readonly string[]): string | undefined {
  if (field === undefined || names.length === 0) return undefined;
  if (names.includes('*')) return field;
  const kept = field.split(';').filter((pair) => names.includes(pair.split('=', 1)[0]!.trim()));
  return kept.length > 0 ? kept.map((pair) => pair.trim()).join('; ') : undefined;
}
