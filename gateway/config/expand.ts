import { readFileSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { isList, isMap, type ConfigNode, type ConfigPath } from './node.ts';
import { problemAt, type Finding, type Problem } from './problem.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Secrets and certificates are far smaller. */
const maxFileBytes = 1024 * 1024;

/** `$${` stands for a plain `${`; an expression has no braces within; what else starts with `${` is a mistake. */
const expressions = /\$\$\{|\$\{([^{}]*)\}|\$\{/g;

interface Expanded {
  readonly root: ConfigNode;
  readonly problems: readonly Problem[];
}

/** What an expression stands for. */
interface Piece {
  readonly text: string;
  /** The expression without its default. */
  readonly via?: string;
  readonly secret?: boolean;
  readonly finding?: Finding;
}

/**
 * Fills in `${env.NAME}`, `${env.NAME:-default}` and `${file:/path}`, in text values only: never in keys, and what is
 * filled in is never read as YAML or as an expression again. As in a shell, `:-` also applies where the variable is empty.
 */
export function expand(root: ConfigNode, env: Environment): Expanded {
  const problems: Problem[] = [];
  const visit = (node: ConfigNode, path: ConfigPath): ConfigNode => {
    const { content, origin } = node;
    if (isMap(content)) {
      return { origin, content: new Map([...content].map(([key, child]) => [key, visit(child, [...path, key])])) };
    }
    if (isList(content)) return { origin, content: content.map((child, index) => visit(child, [...path, index])) };
    if (typeof content !== 'string' || !content.includes('${')) return node;

    const pieces: Piece[] = [];
    const text = content.replace(expressions, (whole: string, expression: string | undefined) => {
      const piece = whole === '$${' ? { text: '${' } : evaluate(expression, env, origin.directory);
      pieces.push(piece);
      return piece.text;
    });
    for (const { finding } of pieces) if (finding) problems.push(problemAt(root, path, finding));
    const via = pieces.flatMap((piece) => piece.via ?? []);
    const secrets = pieces.flatMap((piece) => (piece.secret ? piece.text : []));
    return {
      content: text,
      origin: { ...origin, ...(via.length > 0 && { via }), ...(secrets.length > 0 && { secrets }) },
    };
  };
  return { root: visit(root, []), problems };
}

function evaluate(expression: string | undefined, env: Environment, directory: string): Piece {
  const variable = /^env\.([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s.exec(expression ?? '');
  if (variable) return readVariable(variable[1] ?? '', variable[2], env);
  const file = /^file:(.+)$/s.exec(expression ?? '')?.[1];
  if (file !== undefined) return readSecret(file, directory);
  const message =
    expression === undefined
      ? 'has an expression that does not end, or has another inside'
      : 'has an expression of no known kind';
  const fix = 'write ${env.NAME}, ${env.NAME:-default} or ${file:/path}; for a plain ${ write $${';
  return { text: '', finding: { message, fix } };
}

function readVariable(name: string, fallback: string | undefined, env: Environment): Piece {
  const value = Object.hasOwn(env, name) ? env[name] : undefined;
  if (fallback !== undefined) return { text: value || fallback, via: `\${env.${name}}${value ? '' : ' (unset)'}` };
  if (value !== undefined) return { text: value, via: `\${env.${name}}` };
  const message = `needs the environment variable ${name}, which is not set`;
  return { text: '', finding: { message, fix: `set ${name}, or give a default: \${env.${name}:-…}` } };
}

/** The file's text without the newlines at its end, which editors and `kubectl` leave there. */
function readSecret(file: string, directory: string): Piece {
  const unread = (reason: string): Piece => {
    const message = `needs the file ${file}, which ${reason}`;
    return { text: '', finding: { message, fix: 'create it, or correct the path' } };
  };
  try {
    const path = resolve(directory, file);
    const stats = statSync(path);
    if (!stats.isFile()) return unread('is not a regular file');
    if (stats.size > maxFileBytes) return unread(`is larger than ${maxFileBytes} bytes`);
    const text = readFileSync(path, 'utf8').replace(/[\r\n]+$/, '');
    return { text, via: `\${file:${file}}`, secret: true };
  } catch (error) {
    return unread(fileReason(error));
  }
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist',
  EACCES: 'may not be read',
  EISDIR: 'is a folder',
};

/** Why a file cannot be read, in words. */
export function fileReason(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return reasons[code] ?? `cannot be read (${code})`;
}
