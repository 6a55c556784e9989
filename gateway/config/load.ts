import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { contract } from './contract.ts';
import { withDefaults } from './defaults.ts';
import { expand, fileReason, type Environment } from './expand.ts';
import { locateFiles } from './files.ts';
import { merge, type ModuleDefaults } from './merge.ts';
import { childOf, plain, type ConfigNode, type Origin } from './node.ts';
import { parseYaml } from './parse.ts';
import { ConfigError, locate, type Problem } from './problem.ts';
import { checkReferences } from './references.ts';
import type { GatewayConfig } from './schema.ts';
import { redacted, secretsOf } from './secrets.ts';
import { Sources } from './sources.ts';
import { validate } from './validate.ts';

export interface ReadOptions {
  /** Path of the YAML file, as the operator gave it. Default `gateway.yaml`. */
  readonly file?: string | undefined;
  /** The file's text, where it is not to be read from disk. */
  readonly text?: string | undefined;
  /** For `${env.NAME}`. Default: the environment of the process. */
  readonly env?: Environment | undefined;
}

/** The file on its own: read and expanded, its values not yet checked. */
export interface RawConfig {
  /** As it was given. */
  readonly file: string;
  /** As it was read. */
  readonly text: string;
  /** The folder of modules, absolute, where the file names one. */
  readonly modules: string | undefined;
  readonly root: ConfigNode;
  readonly problems: readonly Problem[];
}

/** A configuration that may be run. */
export interface LoadedConfig {
  readonly config: GatewayConfig;
  /** Where each of its values came from. */
  readonly sources: Sources;
  readonly file: string;
  /** The file as it was read. It may hold secrets: it goes back into the file, nowhere else. */
  readonly text: string;
  /** The same for two configurations that say the same. */
  readonly hash: string;
}

/**
 * Reads the file as far as it goes without modules.
 * @throws {ConfigError} when it cannot be read or is no YAML; all else waits for {@link resolveConfig}
 */
export function readConfigFile(options: ReadOptions = {}): RawConfig {
  const { file = 'gateway.yaml', env = process.env } = options;
  const origin: Origin = { label: file, file, directory: dirname(resolve(file)) };
  const text = options.text ?? readText(file, origin);
  const parsed = parseYaml(text, origin);
  if (parsed.broken) throw new ConfigError(parsed.problems);
  const { root, problems } = expand(parsed.root, env);
  const modules = childOf(root, 'modules')?.content;
  return {
    file,
    text,
    modules: typeof modules === 'string' && modules !== '' ? resolve(origin.directory, modules) : undefined,
    root,
    problems: [...parsed.problems, ...problems],
  };
}

/**
 * Completes and checks a configuration.
 * @throws {ConfigError} with every problem there is, in the file and in what the modules bring
 */
export function resolveConfig(raw: RawConfig, modules: readonly ModuleDefaults[] = []): LoadedConfig {
  const merged = merge(raw.root, modules);
  const located = locateFiles(merged.root);
  const { root, config, problems } = validate(located.root);
  const found = [
    ...raw.problems,
    ...merged.problems,
    ...located.problems,
    ...checkReferences(merged.root),
    ...problems,
  ];
  if (config === undefined || found.length > 0) throw new ConfigError(withoutSecrets(firstOfPlace(found), root));
  const hash = createHash('sha256')
    .update(JSON.stringify(plain(root)))
    .digest('hex')
    .slice(0, 16);
  return { config, sources: new Sources(withDefaults(root, contract())), file: raw.file, text: raw.text, hash };
}

/**
 * Both steps at once, for who has the modules already.
 * @throws {ConfigError} with every problem there is
 */
export function loadConfig(options: ReadOptions & { readonly modules?: readonly ModuleDefaults[] } = {}): LoadedConfig {
  return resolveConfig(readConfigFile(options), options.modules);
}

function readText(file: string, origin: Origin): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const finding = {
      message: `the file ${fileReason(error)}`,
      fix: 'create it, or name another with --config FILE',
    };
    throw new ConfigError([locate(origin, '', finding)]);
  }
}

/** What is wrong with a value often shows in several checks; the first knows best. */
function firstOfPlace(problems: readonly Problem[]): Problem[] {
  const places = problems.map(({ path, file, line, column }) => JSON.stringify([path, file, line, column]));
  return problems.filter((_, index) => places.indexOf(places[index] ?? '') === index);
}

/** The last line of defence: findings are worded without secrets, but schemas of policies are many. */
function withoutSecrets(problems: readonly Problem[], root: ConfigNode): Problem[] {
  // Shorter ones would be found in any word.
  const secrets = [...secretsOf(root)].filter((secret) => secret.length >= 4);
  const clean = (text: string) => secrets.reduce((result, secret) => result.replaceAll(secret, redacted), text);
  return problems.map((problem) => ({ ...problem, message: clean(problem.message), fix: clean(problem.fix) }));
}
