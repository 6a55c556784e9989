import { existsSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Problem } from '#schema/problem.ts';
import { ModuleError } from './module-error.ts';
import type { Module } from './module.ts';

/**
 * Imports `registry.ts` (or `.js`, `.mjs`) of a folder and checks that it lists modules that can stand together.
 * @throws {ModuleError} with everything that is wrong with them
 */
export async function loadModules(folder: string): Promise<readonly Module[]> {
  const file = ['registry.ts', 'registry.js', 'registry.mjs'].map((name) => join(folder, name)).find(existsSync);
  if (file === undefined) {
    throw failed(
      relative('', folder) || '.',
      'there is no registry.ts',
      'write one: export const modules = [orders, users]',
    );
  }
  const where = relative('', file);
  const registry = await importRegistry(file, where);
  const { modules } = registry;
  if (!Array.isArray(modules)) {
    throw failed(where, "does not export a list named 'modules'", 'write: export const modules = [orders, users]');
  }
  const problems = modules.flatMap((module: unknown, index) => {
    if (isModule(module)) return [];
    const fix = 'list what defineModule gives';
    return [{ where, message: `modules[${index}] is no module`, fix }];
  });
  if (problems.length > 0) throw new ModuleError(problems);
  const conflicts = [...misnamed(modules, where), ...definedTwice(modules, where), ...twoOfOneName(modules, where)];
  if (conflicts.length > 0) throw new ModuleError(conflicts);
  return modules as readonly Module[];
}

async function importRegistry(file: string, where: string): Promise<{ readonly modules?: unknown }> {
  try {
    return (await import(pathToFileURL(file).href)) as { readonly modules?: unknown };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const place = placeOf(error, dirname(file)) ?? where;
    const problem = { where: place, message: `cannot be loaded: ${message}`, fix: 'correct the code there' };
    throw new ModuleError([problem], error);
  }
}

/** Where the code failed: Node tells of a syntax error, and of all else the innermost line that runs in the folder. */
function placeOf(error: unknown, folder: string): string | undefined {
  const stack = (error instanceof Error && error.stack) || '';
  const own = `${pathToFileURL(folder).href}/`;
  const found = stack
    .matchAll(/(^)?(file:[^\s:]+):(\d+)/gm)
    .find(([, atStart, url]) => atStart === '' || url!.startsWith(own));
  return found && `${relative('', fileURLToPath(found[2]!))}:${found[3]}`;
}

function failed(where: string, message: string, fix: string): ModuleError {
  return new ModuleError([{ where, message, fix }]);
}

function isModule(value: unknown): value is Module {
  const keys = ['name', 'owner', 'upstreams', 'openapi', 'documents', 'resolvers', 'routes', 'transforms', 'policies'];
  return typeof value === 'object' && value !== null && keys.every((key) => key in value);
}

function misnamed(modules: readonly Module[], where: string): Problem[] {
  return modules.flatMap(({ name, file }, index) => {
    const at = file === undefined ? where : relative('', file);
    if (!/^[a-z][a-z0-9-]*$/.test(name)) {
      return [
        {
          where: at,
          message: `'${name}' cannot be a module's name`,
          fix: 'write lower-case letters, digits and dashes',
        },
      ];
    }
    const other = modules.findIndex((module) => module.name === name);
    if (other === index) return [];
    const first = modules[other]?.file;
    return [
      {
        where: at,
        message: `there are two modules named '${name}'${first === undefined ? '' : `, the other in ${relative('', first)}`}`,
        fix: 'rename one',
      },
    ];
  });
}

function definedTwice(modules: readonly Module[], where: string): Problem[] {
  const definedBy = new Map<string, Module>();
  return modules.flatMap((module) =>
    Object.keys(module.upstreams).flatMap((upstream) => {
      const other = definedBy.get(upstream);
      definedBy.set(upstream, module);
      if (!other) return [];
      const message = `modules '${other.name}' and '${module.name}' both define the upstream '${upstream}'`;
      return [{ where, message, fix: 'keep it in one of them, or give it two names' }];
    }),
  );
}

/** Routes name a transform without its module. */
function twoOfOneName(modules: readonly Module[], where: string): Problem[] {
  const definedBy = new Map<string, Module>();
  return modules.flatMap((module) =>
    module.transforms.flatMap(({ name }) => {
      const other = definedBy.get(name);
      definedBy.set(name, module);
      if (!other) return [];
      const owners =
        other === module
          ? `module '${module.name}' defines`
          : `modules '${other.name}' and '${module.name}' both define`;
      return [
        { where, message: `${owners} the transform '${name}'${other === module ? ' twice' : ''}`, fix: 'rename one' },
      ];
    }),
  );
}
