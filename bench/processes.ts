/** The processes of a run: each on its core, each ended by its id, whatever happens to the run. */
import { spawn, spawnSync, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { cpuOfAllUs, cpuUs, cpuWithEndedChildrenUs } from './cpu.ts';

/** Far more than any of them takes. */
const startTimeoutMs = 20_000;
const stopTimeoutMs = 3_000;

const children = new Set<ChildProcess>();

/** Starts a command on a core. The id is that of the command: taskset becomes it. */
export function spawnOn(core: number, command: readonly string[], options: SpawnOptions): ChildProcess {
  const child = spawn('taskset', ['-c', String(core), ...command], options);
  children.add(child);
  child.once('close', () => children.delete(child));
  return child;
}

/** Children of the bench that something else in it started, while they live. */
const adopted = new Set<number>();

/** Moves a child that something else started, or the bench itself, to a core, with all its threads. */
export function pin(pid: number, core: number): void {
  if (pid !== process.pid) adopted.add(pid);
  spawnSync('taskset', ['-a', '-c', '-p', String(core), String(pid)]);
}

/** Ends all at once and waits for none: for a bench that is itself being ended. */
export function killAll(): void {
  for (const child of children) child.kill('SIGKILL');
}

/** CPU time of the bench and of all that it started so far, ended or not, in microseconds. */
export function ownCpuUs(): number {
  let sum = cpuWithEndedChildrenUs(process.pid);
  for (const child of children) if (!hasEnded(child)) sum += cpuUs(child.pid!);
  for (const pid of adopted) {
    try {
      sum += cpuUs(pid);
    } catch {
      // It has ended, and is counted among those that have.
      adopted.delete(pid);
    }
  }
  return sum;
}

export interface Command {
  /** For messages. */
  readonly name: string;
  readonly command: readonly [file: string, ...args: string[]];
  readonly env?: Readonly<Record<string, string>>;
  readonly core: number;
  /** Is given each line of stdout, which else goes to nowhere. */
  readonly heed?: (line: string) => void;
}

/** A server that listens. */
export class Running {
  readonly #child: ChildProcess;
  readonly #gone: Promise<unknown>;
  #complaint = '';

  private constructor({ command, env, core, heed }: Command) {
    this.#child = spawnOn(core, command, {
      env: { ...process.env, NODE_ENV: 'production', ...env },
      // Access logs go to stdout, and so to nowhere.
      stdio: ['ignore', heed ? 'pipe' : 'ignore', 'pipe'],
    });
    if (heed) createInterface({ input: this.#child.stdout! }).on('line', heed);
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.#complaint = (this.#complaint + text).slice(-2_000);
    });
    this.#gone = once(this.#child, 'close');
  }

  /** Resolves when something listens at the port. @throws {Error} when the process ends or takes too long */
  static async start(command: Command, port: number): Promise<Running> {
    const process = new Running(command);
    const giveUpAt = performance.now() + startTimeoutMs;
    while (!(await listensAt(port))) {
      const late = performance.now() > giveUpAt;
      if (process.ended || late) {
        await process.stop();
        throw new Error(`${command.name} ${late ? 'does not listen' : 'ended'}. ${process.#complaint}`.trim());
      }
      await sleep(50);
    }
    return process;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  get ended(): boolean {
    return hasEnded(this.#child);
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** User and system time so far, in microseconds. */
  get cpuUs(): number {
    return this.ended ? 0 : cpuOfAllUs(this.#child.pid!);
  }

  /** @throws {Error} what the question throws, and what the process said, which may be why */
  async ask<T>(question: () => Promise<T>): Promise<T> {
    try {
      return await question();
    } catch (error) {
      throw new Error(`${(error as Error).message}. ${this.#complaint}`.trim(), { cause: error });
    }
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), stopTimeoutMs);
    await this.#gone;
    clearTimeout(timer);
  }
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

async function listensAt(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  const listens = await once(socket, 'connect').then(
    () => true,
    () => false,
  );
  socket.destroy();
  return listens;
}
