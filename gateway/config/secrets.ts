import { isList, isMap, type ConfigNode, type ConfigPath } from './node.ts';

/** What is shown in place of a secret. */
export const redacted = '[redacted]';

/** Keys whose values are secrets wherever they came from. */
const secretKey = /(token|password|passphrase|secret|authorization|cookie|api-?key)$/i;

/** RFC 3986 §3.2.1. Schemes are short; without a bound a long text would be read again from each of its letters. */
const userinfo = /([a-z][a-z0-9+.-]{0,31}:\/\/)([^/?#\s@]+)@/gi;

/** Whether a value may not be shown at all. */
export function isSecret(path: ConfigPath, node: ConfigNode): boolean {
  if (node.origin.secrets !== undefined) return true;
  return secretKey.test(path.findLast((key) => typeof key === 'string') ?? '');
}

/** A text without the credentials of the URLs in it. */
export function withoutUserinfo(text: string): string {
  return text.replace(userinfo, `$1${redacted}@`);
}

/** Whether a problem may not repeat a value: besides secrets, what an expression brought may be one in the wrong place. */
export function isHidden(path: ConfigPath, node: ConfigNode): boolean {
  return isSecret(path, node) || node.origin.via !== undefined;
}

/** A value as problems call it. */
export function describeValue(path: ConfigPath, node: ConfigNode): string {
  const { content, origin } = node;
  if (isMap(content)) return 'a map';
  if (isList(content)) return 'a list';
  if (origin.via) return `what ${origin.via.join(' ')} holds`;
  if (isSecret(path, node)) return 'what is written there';
  if (typeof content === 'number') return `the number ${content}`;
  if (typeof content !== 'string') return String(content);
  const text = withoutUserinfo(content);
  return `'${text.length > 60 ? `${text.slice(0, 60)}…` : text}'`;
}

/** All secrets of a tree, for taking them out of texts that were made without looking. */
export function secretsOf(root: ConfigNode): Set<string> {
  const found = new Set<string>();
  const visit = (node: ConfigNode, path: ConfigPath): void => {
    const { content, origin } = node;
    if (isMap(content)) content.forEach((child, key) => visit(child, [...path, key]));
    else if (isList(content)) content.forEach((child, index) => visit(child, [...path, index]));
    if (typeof content !== 'string') return;
    for (const [, , credentials = ''] of content.matchAll(userinfo)) found.add(credentials);
    for (const piece of origin.secrets ?? []) found.add(piece);
    if (isSecret(path, node)) found.add(content);
  };
  visit(root, []);
  return found;
}
