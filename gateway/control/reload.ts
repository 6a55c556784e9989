import { chmodSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Clock } from '#core/clock.ts';
import type { Logger } from '#core/log.ts';
import { ModuleError } from '#resolvers/module-error.ts';
import type { LoadedConfig } from '#gateway/config/load.ts';
import { ConfigError } from '#gateway/config/problem.ts';
import type { GatewayConfig } from '#gateway/config/schema.ts';
import { ProblemsError } from '#gateway/problems.ts';
import { reread, type Project } from '#gateway/project.ts';

/** How an attempt to load the file again went. */
export interface ReloadReport {
  readonly ok: boolean;
  /** Of the configuration that serves now. */
  readonly hash: string;
  /** Whether that differs from the one before. */
  readonly changed: boolean;
  /** What is wrong with the file, as `weir check` prints it; undefined when nothing is. */
  readonly error?: string;
  /** What differs from the running configuration and waits for a restart, such as `listen.port`. */
  readonly needsRestart: readonly string[];
  /** Of a rollback: why the file itself could not be restored; undefined where it was. */
  readonly notWritten?: string;
}

export interface ConfigurationStatus {
  readonly file: string;
  readonly hash: string;
  readonly appliedAt: string;
  /** The one before, which a rollback restores. */
  readonly previous: { readonly hash: string; readonly appliedAt: string } | undefined;
  readonly lastAttempt: { readonly at: string; readonly ok: boolean; readonly error?: string } | undefined;
  readonly needsRestart: readonly string[];
}

/** What is reloaded: whoever serves a project. */
export interface Reloadable {
  readonly project: Project;
  /** @throws {ModuleError | ProblemsError} and changes nothing then */
  replace(project: Project): void;
}

interface Applied {
  readonly loaded: LoadedConfig;
  readonly atMs: number;
}

/** Parts that are read once: sockets are bound, exporters connected, and code is loaded. */
const fixed = ['listen', 'admin', 'telemetry', 'modules'] as const satisfies readonly (keyof GatewayConfig)[];

/** Loads the file again while the gateway serves, and restores the one before. */
export class Reloads {
  readonly #gateway: Reloadable;
  readonly #clock: Clock;
  readonly #log: Logger;
  #current: Applied;
  #previous: Applied | undefined;
  #lastAttempt: ConfigurationStatus['lastAttempt'];
  #needsRestart: readonly string[] = [];
  /** By outcome, since the start. */
  readonly counts = { applied: 0, refused: 0 };

  constructor(gateway: Reloadable, clock: Clock, log: Logger) {
    this.#gateway = gateway;
    this.#clock = clock;
    this.#log = log;
    this.#current = { loaded: gateway.project.loaded, atMs: clock.epochMs() };
  }

  status(): ConfigurationStatus {
    const { loaded, atMs } = this.#current;
    return {
      file: loaded.file,
      hash: loaded.hash,
      appliedAt: new Date(atMs).toISOString(),
      previous: this.#previous && {
        hash: this.#previous.loaded.hash,
        appliedAt: new Date(this.#previous.atMs).toISOString(),
      },
      lastAttempt: this.#lastAttempt,
      needsRestart: this.#needsRestart,
    };
  }

  /** Reads the file and lets it take over. What is wrong with it is told in the report and the log; nothing changes then. */
  reload(): ReloadReport {
    const report = this.#apply(undefined);
    if (report.error !== undefined) this.#log.error({ hash: report.hash, error: report.error }, 'reload refused');
    else this.#log.info({ hash: report.hash, changed: report.changed, needsRestart: report.needsRestart }, 'reloaded');
    return report;
  }

  /**
   * Restores the last good file: after a reload that was refused, the one that serves; after one that took over, the one
   * before. It takes over first and is written back then, so that a restart finds it too.
   */
  rollback(): ReloadReport {
    const refused = this.#lastAttempt?.ok === false;
    const target = refused ? this.#current : this.#previous;
    if (!target) {
      const error = 'There is nothing to roll back to: this process has served one configuration only.';
      return { ok: false, hash: this.#current.loaded.hash, changed: false, error, needsRestart: this.#needsRestart };
    }
    const report = this.#apply(target.loaded.text);
    if (report.error !== undefined) {
      this.#log.error({ hash: report.hash, error: report.error }, 'rollback refused');
      return report;
    }
    const notWritten = restore(target.loaded);
    this.#log.warn({ hash: report.hash, ...(notWritten !== undefined && { notWritten }) }, 'rolled back');
    return { ...report, ...(notWritten !== undefined && { notWritten }) };
  }

  #apply(text: string | undefined): ReloadReport {
    const at = new Date(this.#clock.epochMs()).toISOString();
    const before = this.#current.loaded;
    try {
      const { project, needsRestart } = withFixedParts(reread(this.#gateway.project, text), this.#gateway.project);
      this.#gateway.replace(project);
      const changed = project.loaded.hash !== before.hash;
      if (changed) this.#previous = this.#current;
      this.#current = { loaded: project.loaded, atMs: changed ? this.#clock.epochMs() : this.#current.atMs };
      this.#needsRestart = needsRestart;
      this.#lastAttempt = { at, ok: true };
      this.counts.applied++;
      return { ok: true, hash: project.loaded.hash, changed, needsRestart };
    } catch (error) {
      if (!(error instanceof ConfigError || error instanceof ProblemsError || error instanceof ModuleError))
        throw error;
      this.#lastAttempt = { at, ok: false, error: error.message };
      this.counts.refused++;
      return { ok: false, hash: before.hash, changed: false, error: error.message, needsRestart: this.#needsRestart };
    }
  }
}

/** The project as far as it can take over now, and the keys that it would change where that cannot be. */
function withFixedParts(next: Project, running: Project): { project: Project; needsRestart: string[] } {
  const { loaded } = running;
  const config = { ...next.loaded.config };
  const needsRestart: string[] = [];
  for (const part of fixed) {
    needsRestart.push(...differences(part, config[part], loaded.config[part]));
    Object.assign(config, { [part]: loaded.config[part] });
  }
  return { project: { ...next, loaded: { ...next.loaded, config } }, needsRestart };
}

function differences(path: string, next: unknown, running: unknown): string[] {
  if (!isRecord(next) || !isRecord(running)) return JSON.stringify(next) === JSON.stringify(running) ? [] : [path];
  const keys = new Set([...Object.keys(next), ...Object.keys(running)]);
  return [...keys].flatMap((key) => differences(`${path}.${key}`, next[key], running[key]));
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Writes the file as a whole or not at all. @returns why it could not be */
function restore({ file, text }: LoadedConfig): string | undefined {
  const path = resolve(file);
  const beside = `${path}.${process.pid}.tmp`;
  try {
    writeFileSync(beside, text, { mode: 0o600 });
    chmodSync(beside, statSync(path).mode);
    renameSync(beside, path);
    return undefined;
  } catch (error) {
    rmSync(beside, { force: true });
    return (error as Error).message;
  }
}
