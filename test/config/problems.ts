import { expect } from 'vitest';
import { loadConfig, type LoadedConfig } from '#gateway/config/load.ts';
import { ConfigError, type Problem } from '#gateway/config/problem.ts';

type Options = NonNullable<Parameters<typeof loadConfig>[0]>;

/** Loads a text without the environment of the process. */
export function load(text: string, options: Options = {}): LoadedConfig {
  return loadConfig({ text, env: {}, ...options });
}

/** What is wrong with a configuration that must not load. */
export function errorOf(text: string, options: Options = {}): ConfigError {
  try {
    load(text, options);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error('the configuration was accepted');
}

export function problemsOf(text: string, options: Options = {}): readonly Problem[] {
  return errorOf(text, options).problems;
}

/** Each problem as `line:column path`, in order. */
export function placesOf(problems: readonly Problem[]): string[] {
  return problems.map(({ line, column, path }) => `${line}:${column} ${path}`);
}

/** Matches a text that has another in it. */
export function containing(text: string): unknown {
  return expect.stringContaining(text);
}
