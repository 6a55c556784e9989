import { fork, type ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { Announcer, type Invalidation } from '#upstreams/cache/invalidation.ts';
import type { MeterSnapshot } from '#gateway/telemetry/meter.ts';
import type { Taker } from './acceptor.ts';
import { Channel, NoAnswer } from './channel.ts';
import { Handovers } from './handover.ts';
import type { PrimaryCalls, WorkerCalls } from './protocol.ts';

const program = fileURLToPath(new URL('./worker.ts', import.meta.url));

/** How often a worker is asked whether its event loop turns. */
const pingEveryMs = 2_000;
/** So many questions without an answer, half a minute, and it is held to turn no more. */
const maxMissed = 15;
/** In which it must answer when it is asked what it sees. */
const answerMs = 1_000;
/** How long a worker that has finished may take to flush its telemetry and end. */
const endMs = 5_000;

/** `serving` from when it takes connections; `leaving` once it has been told to stop. */
type State = 'building' | 'built' | 'serving' | 'leaving' | 'gone';

export interface Ending {
  readonly code: number | null;
  readonly signal: string | null;
  readonly livedMs: number;
}

/** One worker as the primary sees it. */
export class RemoteWorker implements Taker {
  readonly index: number;
  readonly pid: number;
  readonly ended: Promise<Ending>;
  state: State = 'building';
  /** Of the configuration that it serves. */
  hash = '';
  /** Its event loop did not turn for so long that it was killed. */
  hung = false;
  /** It was told to go while the others stay: its end is no death. */
  dismissed = false;
  /** What it had measured when it was last asked. */
  measured: MeterSnapshot | undefined;
  readonly #child: ChildProcess;
  readonly #handovers: Handovers;
  /** Tells it what was written through others. */
  readonly news: Announcer;
  readonly #channel: Channel<PrimaryCalls, WorkerCalls>;
  readonly #pings: NodeJS.Timeout;
  /** Pings in a row that wait for their answer. */
  #missed = 0;
  #silent = false;

  /**
   * Starts the process.
   * @param leaving called when somebody has told it to go
   * @param written called with what was written through it
   */
  constructor(index: number, leaving: () => void, written: (news: readonly Invalidation[]) => void) {
    const startedMs = performance.now();
    this.index = index;
    const child = fork(program, [], { serialization: 'advanced' });
    this.#child = child;
    this.#handovers = new Handovers(child);
    this.pid = child.pid ?? 0;
    this.#channel = new Channel<PrimaryCalls, WorkerCalls>(child, { leaving, written });
    this.news = new Announcer(
      (news) => this.order('written', news),
      () => this.state === 'gone',
    );
    this.#pings = setInterval(() => this.#ping(), pingEveryMs);
    this.ended = new Promise((resolve) => {
      const end = (code: number | null, signal: string | null) => {
        this.state = 'gone';
        clearInterval(this.#pings);
        this.#channel.close();
        resolve({ code, signal, livedMs: Math.round(performance.now() - startedMs) });
      };
      child.once('exit', end);
      // It could not be started, or not be sent something: of the latter its end tells.
      child.on('error', () => {
        if (child.pid === undefined) end(null, null);
      });
    });
  }

  /** It has not answered when it was last asked: nobody waits for it again until it has. */
  get silent(): boolean {
    return this.#silent;
  }

  /** It is a part of the gateway: it has a configuration, and serves or is about to. */
  get present(): boolean {
    return this.state === 'built' || this.state === 'serving';
  }

  /** @throws {NoAnswer} at once where the last question went unanswered, else after a second */
  async ask<N extends keyof WorkerCalls>(
    name: N,
    body: Parameters<WorkerCalls[N]>[0],
    timeoutMs: number = answerMs,
  ): Promise<Awaited<ReturnType<WorkerCalls[N]>>> {
    if (this.#silent) throw new NoAnswer(`worker ${this.index} did not answer before`);
    return this.order(name, body, timeoutMs);
  }

  /** The same for what it has to be told, whether or not it answered before. */
  async order<N extends keyof WorkerCalls>(
    name: N,
    body: Parameters<WorkerCalls[N]>[0],
    timeoutMs?: number,
  ): Promise<Awaited<ReturnType<WorkerCalls[N]>>> {
    try {
      const answer = await this.#channel.ask(name, body, timeoutMs);
      this.#silent = false;
      return answer;
    } catch (error) {
      if (error instanceof NoAnswer) this.#silent = true;
      throw error;
    }
  }

  /** To serve it. @returns false where it is known that it has not taken it, nor read a byte of it */
  handOver(connection: Socket): Promise<boolean> {
    return this.#handovers.handOver(connection);
  }

  /** Tells it that all are about to go: from now on its clients are sent away with their next answer. */
  async drain(): Promise<void> {
    // One that does not answer will not be kept waiting for either.
    await this.order('drain', undefined, answerMs).catch(() => {});
  }

  /** Lets it finish what is in flight, and end. */
  async stop(drainDelayMs: number): Promise<void> {
    this.state = 'leaving';
    try {
      this.measured = await this.order('stop', { drainDelayMs });
    } catch {
      // It has died, which its end tells.
    }
    await this.release();
  }

  /** Lets go of one that has nothing in flight. */
  async release(): Promise<void> {
    if (this.#child.connected) this.#child.disconnect();
    const late = setTimeout(() => this.kill(), endMs);
    await this.ended;
    clearTimeout(late);
  }

  /** Ends it at once. */
  kill(): void {
    this.#child.kill('SIGKILL');
  }

  #ping(): void {
    // Modules are loaded in one go, on a slow machine for long; how long is bounded where it is ordered.
    if (this.state === 'building') return;
    if (this.#missed > 0) {
      this.#silent = true;
      if (++this.#missed <= maxMissed) return;
      this.hung = true;
      this.kill();
      return;
    }
    this.#missed = 1;
    this.order('ping', undefined).then(
      () => (this.#missed = 0),
      () => {},
    );
  }
}
