import { existsSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import { loadModules } from '#resolvers/load-modules.ts';
import { ModuleError } from '#resolvers/module-error.ts';
import type { Module } from '#resolvers/module.ts';
import { readConfigFile, resolveConfig, type LoadedConfig, type RawConfig } from './config/load.ts';
import type { ModuleDefaults } from './config/merge.ts';

export interface ProjectOptions {
  /** Path of the YAML file. Default `gateway.yaml`. */
  readonly config?: string | undefined;
  /** The file's text, where it is not to be read from disk; relative paths in it are relative to `config`. */
  readonly text?: string | undefined;
  /** Folder with a `registry.ts`; stands in for the file's `modules`. */
  readonly modules?: string | undefined;
  /** For `${env.NAME}`. Default: the environment of the process. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
}

/** A configuration with the modules that it names: what every command works on. */
export interface Project {
  readonly loaded: LoadedConfig;
  readonly modules: readonly Module[];
  /** The folder of the modules, absolute; undefined for a gateway without any. */
  readonly modulesDir: string | undefined;
  /** How it was opened, so that it can be opened again. */
  readonly options: ProjectOptions;
}

/**
 * Reads the file, loads its modules, and completes the configuration with their defaults.
 * @throws {ConfigError} with all problems of the configuration
 * @throws {ModuleError} when the modules cannot be loaded
 */
export async function openProject(options: ProjectOptions): Promise<Project> {
  const raw = read(options);
  const modulesDir = options.modules === undefined ? raw.modules : existing(resolve(options.modules));
  // A folder that the file names in vain is one of its problems, told with their lines.
  const modules = modulesDir !== undefined && existsSync(modulesDir) ? await loadModules(modulesDir) : [];
  return { loaded: resolveConfig(raw, defaultsOf(modules)), modules, modulesDir, options };
}

/**
 * The project that another process of the same gateway runs, whatever its file says by now.
 * @throws {ConfigError} with all problems of the configuration
 * @throws {ModuleError} when the modules cannot be loaded
 */
export async function joinProject({ loaded, modulesDir, options }: RunningProject): Promise<Project> {
  const modules = modulesDir === undefined ? [] : await loadModules(modulesDir);
  const raw = readConfigFile({ file: loaded.file, text: loaded.text, env: options.env });
  return { loaded: resolveConfig(raw, defaultsOf(modules)), modules, modulesDir, options };
}

/** Of a project, what makes another process open the same one: plain data. */
export interface RunningProject extends Pick<Project, 'modulesDir' | 'options'> {
  readonly loaded: Pick<LoadedConfig, 'file' | 'text' | 'hash'>;
}

/**
 * The same project with its file as it is now. Modules stay as they were loaded, since code cannot be unloaded.
 * @param text instead of the file's
 * @throws {ConfigError} with all problems of the configuration
 */
export function reread(project: Project, text = project.options.text): Project {
  const { config, env } = project.options;
  const raw = readConfigFile({ file: config, text, env });
  return { ...project, loaded: resolveConfig(raw, defaultsOf(project.modules)) };
}

function defaultsOf(modules: readonly Module[]): ModuleDefaults[] {
  return modules.map(({ name, file, upstreams, routes }) => ({
    name,
    ...(file !== undefined && { file }),
    upstreams,
    routes,
  }));
}

/**
 * The folder of modules, absolute; undefined where there are none. The file is read only where the options name no folder.
 * @throws {ConfigError} when the file cannot be read
 * @throws {ModuleError} when there is no such folder
 */
export function modulesFolder(options: ProjectOptions): string | undefined {
  const folder = options.modules === undefined ? read(options).modules : resolve(options.modules);
  return folder === undefined ? undefined : existing(folder);
}

function read(options: ProjectOptions): RawConfig {
  return readConfigFile({ file: options.config, text: options.text, env: options.env });
}

function existing(folder: string): string {
  if (existsSync(folder)) return folder;
  const fix = 'correct --modules, or modules in the configuration';
  throw new ModuleError([{ where: relative('', folder), message: 'there is no such folder', fix }]);
}
