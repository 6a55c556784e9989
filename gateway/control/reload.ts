import type { Clock } from '#core/clock.ts';
import type { Logger } from '#core/log.ts';
import { ModuleError } from '#resolvers/module-error.ts';
import { ConfigError } from '#gateway/config/problem.ts';
import { ProblemsError } from '#gateway/problems.ts';
import { reread, type Project } from '#gateway/project.ts';
import { fixedPartsOf, withFixedParts } from './fixed-parts.ts';
import { restoreFile } from './restore-file.ts';

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
  readonly lastAttempt:
    | {
        readonly kind: 'reload' | 'rollback';
        readonly at: string;
        readonly ok: boolean;
        readonly error?: string;
      }
    | undefined;
  readonly needsRestart: readonly string[];
}

/** Another configuration, built and ready to serve. One of the two is to be called, once. */
export interface Prepared {
  /** Lets it take over, from the next request on. */
  commit(): void | Promise<void>;
  discard(): void | Promise<void>;
}

/** What is reloaded: whoever serves a project. */
export interface Reloadable {
  /** What serves now. */
  readonly project: Project;
  /**
   * Builds another one beside it.
   * @throws {ModuleError | ProblemsError} with all that does not fit together; nothing has changed then
   */
  prepare(project: Project): Prepared | Promise<Prepared>;
}

/** A configuration that has served. Its text is all that is needed to have it back. */
interface Applied {
  readonly text: string;
  readonly hash: string;
  readonly atMs: number;
}

/** How many configurations back a rollback can go, one at a time. */
const maxHistory = 10;

/** Loads the file again while the gateway serves, and restores the ones before. One at a time, in the order asked for. */
export class Reloads {
  readonly #gateway: Reloadable;
  readonly #clock: Clock;
  readonly #log: Logger;
  #current: Applied;
  /** Those that served before, the last one last. */
  #history: readonly Applied[] = [];
  #lastAttempt: ConfigurationStatus['lastAttempt'];
  /** What the file held when it was last read was refused. */
  #refused = false;
  #needsRestart: readonly string[] = [];
  #turn: Promise<unknown> = Promise.resolve();
  #waiting: Promise<ReloadReport> | undefined;
  #rollback: Promise<ReloadReport> | undefined;
  /** By outcome, since the start. */
  readonly counts = { applied: 0, refused: 0 };

  constructor(gateway: Reloadable, clock: Clock, log: Logger) {
    this.#gateway = gateway;
    this.#clock = clock;
    this.#log = log;
    const { text, hash } = gateway.project.loaded;
    this.#current = { text, hash, atMs: clock.epochMs() };
  }

  status(): ConfigurationStatus {
    const { hash, atMs } = this.#current;
    const previous = this.#history.at(-1);
    return {
      file: this.#gateway.project.loaded.file,
      hash,
      appliedAt: isoTime(atMs),
      previous: previous && { hash: previous.hash, appliedAt: isoTime(previous.atMs) },
      lastAttempt: this.#lastAttempt,
      needsRestart: this.#needsRestart,
    };
  }

  /**
   * Reads the file and lets it take over. What is wrong with it is told in the report and the log; nothing changes then, and
   * never does it reject. Whoever asks before the file is read shares one reading.
   */
  reload(): Promise<ReloadReport> {
    return (this.#waiting ??= this.#inTurn(() => {
      this.#waiting = undefined;
      return this.#reload();
    }));
  }

  /**
   * Restores the last good file: after a reload that was refused, the one that serves; after one that took over, the one
   * before, and one further back each time. It takes over first and is written back then, so that a restart finds it too.
   * Whoever asks while one is under way means the same one.
   */
  rollback(): Promise<ReloadReport> {
    return (this.#rollback ??= this.#inTurn(() => this.#rollBack()).finally(() => (this.#rollback = undefined)));
  }

  #inTurn(task: () => Promise<ReloadReport>): Promise<ReloadReport> {
    const result = this.#turn.then(task);
    this.#turn = result;
    return result;
  }

  async #reload(): Promise<ReloadReport> {
    const former = this.#current;
    const report = await this.#apply('reload', undefined);
    this.#refused = !report.ok;
    if (report.changed) this.#history = [...this.#history, former].slice(-maxHistory);
    if (report.ok) this.#log.info(logged(report), 'reloaded');
    else this.#log.error(logged(report), 'reload refused');
    return report;
  }

  async #rollBack(): Promise<ReloadReport> {
    const target = this.#refused ? this.#current : this.#history.at(-1);
    if (!target) {
      const error = 'There is nothing to roll back to: this process has served one configuration only.';
      return { ok: false, hash: this.#current.hash, changed: false, error, needsRestart: this.#needsRestart };
    }
    const report = await this.#apply('rollback', target.text);
    if (!report.ok) {
      this.#log.error(logged(report), 'rollback refused');
      return report;
    }
    if (!this.#refused) this.#history = this.#history.slice(0, -1);
    this.#refused = false;
    const { loaded, options } = this.#gateway.project;
    // What never came from a file goes back into none.
    const notWritten = options.text === undefined ? restoreFile(loaded.file, target.text) : undefined;
    const written = { ...report, ...(notWritten !== undefined && { notWritten }) };
    this.#log.warn(logged(written), 'rolled back');
    return written;
  }

  async #apply(kind: 'reload' | 'rollback', text: string | undefined): Promise<ReloadReport> {
    const at = isoTime(this.#clock.epochMs());
    const before = this.#current;
    try {
      const running = this.#gateway.project;
      const { project, needsRestart } = withFixedParts(reread(running, text), fixedPartsOf(running));
      const prepared = await this.#gateway.prepare(project);
      await prepared.commit();
      const { hash } = project.loaded;
      const changed = hash !== before.hash;
      this.#current = { text: project.loaded.text, hash, atMs: changed ? this.#clock.epochMs() : before.atMs };
      this.#needsRestart = needsRestart;
      this.#lastAttempt = { kind, at, ok: true };
      this.counts.applied++;
      return { ok: true, hash, changed, needsRestart };
    } catch (thrown) {
      const error = this.#explain(thrown);
      this.#lastAttempt = { kind, at, ok: false, error };
      this.counts.refused++;
      return { ok: false, hash: before.hash, changed: false, error, needsRestart: this.#needsRestart };
    }
  }

  /** Whatever it was, the gateway goes on: a reload must not be what takes it down. */
  #explain(thrown: unknown): string {
    if (thrown instanceof ConfigError || thrown instanceof ProblemsError || thrown instanceof ModuleError)
      return thrown.message;
    this.#log.error({ err: thrown }, 'reload failed');
    return 'Weir failed over this configuration in a way that it cannot explain. Fix: see `reload failed` in its log.';
  }
}

/** Without what is the same in every report. */
function logged({ hash, changed, error, needsRestart, notWritten }: ReloadReport): object {
  return {
    hash,
    changed,
    ...(error !== undefined && { error }),
    ...(needsRestart.length > 0 && { needsRestart }),
    ...(notWritten !== undefined && { notWritten }),
  };
}

function isoTime(epochMs: number): string {
  return new Date(epochMs).toISOString();
}
