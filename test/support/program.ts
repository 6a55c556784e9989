import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { delimiter, dirname } from 'node:path';

export interface ProgramOptions {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
}

export interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command as a process group of its own, so that whatever it leaves behind can be found, and ended. */
export class Program {
  stdout = '';
  stderr = '';
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;

  constructor([command, ...args]: readonly [string, ...string[]], { cwd, env }: ProgramOptions) {
    const child = spawn(command, args, { cwd, env: { ...inherited(), ...env }, detached: true, stdio: 'pipe' });
    child.stdout.setEncoding('utf8').on('data', (text: string) => (this.stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
    this.#child = child;
    this.#ended = once(child, 'close');
  }

  /** Waits for what is bound to happen while it runs. @throws {Error} with what it printed, when it ends before */
  async until(happened: (program: Program) => boolean | Promise<boolean>): Promise<void> {
    while (!(await happened(this))) {
      const over = await Promise.race([
        this.#ended,
        new Promise((resolve) => setTimeout(resolve, 10, 'still running')),
      ]);
      if (over === 'still running' || (await happened(this))) continue;
      throw new Error(`${this.#child.spawnargs.join(' ')} ended before its time:\n${this.stdout}${this.stderr}`);
    }
  }

  /** As if somebody typed it, where the program has a terminal. */
  type(keys: string): void {
    this.#child.stdin?.write(keys);
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** To it and all that it started, as a terminal does it. */
  signalAll(signal: NodeJS.Signals): void {
    this.#toAll(signal);
  }

  /** Waits for its end. @returns its exit status, or the signal that ended it */
  async end(): Promise<number | string> {
    await this.#ended;
    return this.#child.exitCode ?? this.#child.signalCode ?? 'unknown';
  }

  /** Whether it still runs, or something that it started. */
  get running(): boolean {
    return this.#toAll(0);
  }

  #toAll(signal: NodeJS.Signals | 0): boolean {
    try {
      return process.kill(-this.#child.pid!, signal);
    } catch {
      return false;
    }
  }
}

/** A gateway as a process of its own. */
export interface RunningProgram {
  /** Its first line of JSON with `msg: "listening"`. */
  readonly listening: Readonly<Record<string, unknown>>;
  /** Sends SIGTERM. @returns the exit status, or the signal that ended it */
  stop(): Promise<number | string>;
}

/**
 * Starts `node ARGS` and waits until it listens.
 * @throws {Error} with what it printed, when it ends before
 */
export async function startProgram(args: readonly string[], options: ProgramOptions): Promise<RunningProgram> {
  const program = new Program([process.execPath, ...args], options);
  const lines = () => [...program.stdout.split('\n').slice(0, -1), ...program.stderr.split('\n').slice(0, -1)];
  const listening = () => lines().find((line) => line.startsWith('{') && line.includes('"listening"'));
  await program.until(() => listening() !== undefined);
  return {
    listening: JSON.parse(listening() ?? '') as Record<string, unknown>,
    stop() {
      program.signal('SIGTERM');
      return program.end();
    },
  };
}

/** Runs `node ARGS` to its end. */
export function runProgram(args: readonly string[], options: ProgramOptions): Promise<Outcome> {
  return runCommand([process.execPath, ...args], options);
}

/** Runs a command to its end. */
export async function runCommand(command: readonly [string, ...string[]], options: ProgramOptions): Promise<Outcome> {
  const program = new Program(command, options);
  const status = await program.end();
  return { status: typeof status === 'number' ? status : null, stdout: program.stdout, stderr: program.stderr };
}

/** The environment, with this Node first on the path, and without what an `npm test` around it tells an npm within. */
function inherited(): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(([name]) => !/^npm_|^INIT_CWD$/i.test(name));
  return { ...Object.fromEntries(own), PATH: [dirname(process.execPath), process.env.PATH].join(delimiter) };
}
