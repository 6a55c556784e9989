import { posix, relative, sep } from 'node:path';
import type { RuleTester } from 'oxlint/plugins-dev';

type Rule = Parameters<RuleTester['run']>[1];

/** The folders, from the ground up. A folder imports only from lower floors; folders on one floor never import each other. */
export const floors: Readonly<Record<string, number>> = {
  core: 0,
  schema: 1,
  upstreams: 1,
  policies: 2,
  resolvers: 3,
  gateway: 4,
};

/**
 * What is wrong with an import, or undefined. Paths are relative to the project's root, with forward slashes.
 * @param file the importing file
 * @param specifier as written
 */
export function trespass(file: string, specifier: string): string | undefined {
  if (specifier.startsWith('node:')) return undefined;
  const folder = topOf(file);
  const target = targetOf(file, specifier);
  if (target === undefined) {
    return folder === 'core' ? `core imports 'node:' only, so '${specifier}' belongs on a higher floor.` : undefined;
  }
  const targetFolder = topOf(target);
  const from = floors[folder];
  const to = floors[targetFolder];
  if (specifier.startsWith('.') && targetFolder !== folder && (from ?? to) !== undefined) {
    return `Write '#${target}': a relative path stays inside its folder.`;
  }
  if (from === undefined || targetFolder === folder) return betweenModules(file, target);
  if (to === undefined) return `'${folder}' runs without '${targetFolder}', so it must not import it.`;
  if (to === from) return `'${folder}' and '${targetFolder}' are on one floor (${from}), so neither imports the other.`;
  if (to > from)
    return `'${folder}' (floor ${from}) must not import '${targetFolder}' (floor ${to}), which is above it.`;
  return undefined;
}

/** A team's module is a folder under resolvers/; modules extend each other's types in SDL and share no code. */
function betweenModules(file: string, target: string): string | undefined {
  const from = moduleOf(file);
  const to = moduleOf(target);
  if (from === undefined || to === undefined || from === to) return undefined;
  return `Modules never import each other: '${from}' extends the types of '${to}' in SDL instead.`;
}

function moduleOf(path: string): string | undefined {
  const name = /^resolvers\/([^/]+)\//.exec(path)?.[1];
  return name === 'generated' ? undefined : name;
}

function topOf(path: string): string {
  return path.split('/', 1)[0]!;
}

/** The project's file that a specifier means; undefined for a package. */
function targetOf(file: string, specifier: string): string | undefined {
  if (specifier.startsWith('#')) return specifier.slice(1);
  return specifier.startsWith('.') ? posix.join(posix.dirname(file), specifier) : undefined;
}

interface Source {
  readonly range: [number, number];
  readonly value?: unknown;
}

const rule: Rule = {
  create(context) {
    const file = relative(context.cwd, context.filename).replaceAll(sep, '/');
    function check(node: object): void {
      const { source } = node as { readonly source?: Source | null };
      if (typeof source?.value !== 'string') return;
      const message = trespass(file, source.value);
      if (message !== undefined) context.report({ message, node: source });
    }
    return {
      ImportDeclaration: check,
      ExportNamedDeclaration: check,
      ExportAllDeclaration: check,
      ImportExpression: check,
      TSImportType: check,
    };
  },
};

export default { meta: { name: 'weir' }, rules: { floors: rule } };
