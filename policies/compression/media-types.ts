/** Whether a media type, in lower case and without parameters, is one of these: `type/subtype`, `type/*`, `type/*+suffix`. */
export function mediaTypes(patterns: readonly string[]): (type: string) => boolean {
  const exact = new Set(patterns.filter((pattern) => !pattern.includes('*')));
  const parts = patterns
    .filter((pattern) => pattern.includes('*'))
    .map((pattern) => pattern.split('*') as [string, string]);
  return (type) =>
    exact.has(type) || parts.some(([head, tail]) => type.startsWith(head) && type.endsWith(tail) && type !== head);
}
