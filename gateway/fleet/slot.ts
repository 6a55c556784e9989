import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '#core/log.ts';
import type { Invalidation } from '#upstreams/cache/invalidation.ts';
import type { Counter } from '#core/meter.ts';
import { ProblemsError } from '#gateway/problems.ts';
import type { Acceptor } from './acceptor.ts';
import { Backoff } from './backoff.ts';
import { NoAnswer } from './channel.ts';
import type { BuildOrder } from './protocol.ts';
import { RemoteWorker, type Ending } from './remote-worker.ts';

/** How long a worker may take to load its modules, and to begin to serve. */
const buildMs = 60_000;
const serveMs = 10_000;
/** In which a service manager that means all processes has told the primary too. */
const groupSignalMs = 250;
/** How long a worker that was told to go waits for the one that takes over. */
const takeOverMs = 10_000;

export interface SlotOptions {
  readonly index: number;
  readonly log: Logger;
  readonly deaths: Counter;
  readonly drainDelayMs: number;
  /** Hands it its share of the connections. */
  readonly acceptor: Pick<Acceptor, 'add' | 'remove'>;
  /** What to build now. */
  readonly order: (index: number) => BuildOrder;
  /** Tells a worker that is built what has happened meanwhile. */
  readonly settle: (worker: RemoteWorker) => Promise<void>;
  /** Something was written through a worker, which the others are to hear of. */
  readonly written: (by: RemoteWorker, news: readonly Invalidation[]) => void;
  /** A worker is gone for good. */
  readonly gone: (worker: RemoteWorker) => void;
}

/** One of the places that workers fill: there is to be one that serves, and one that dies is replaced. */
export class Slot {
  readonly #options: SlotOptions;
  /** Those that run: the one that serves last, before it any that are leaving. */
  readonly #running = new Set<RemoteWorker>();
  readonly #backoff = new Backoff();
  readonly #closing = new AbortController();

  constructor(options: SlotOptions) {
    this.#options = options;
  }

  get workers(): readonly RemoteWorker[] {
    return [...this.#running];
  }

  /**
   * Starts the first worker.
   * @throws {ProblemsError} with all that does not fit together
   */
  start(): Promise<void> {
    return this.#launch();
  }

  /** The whole gateway is about to stop: sends clients away with their next answer, and replaces nothing any more. */
  async drain(): Promise<void> {
    this.#closing.abort();
    await Promise.all(this.workers.filter(({ state }) => state === 'serving').map((worker) => worker.drain()));
  }

  /** Ends what runs here without losing a request, and replaces nothing any more. */
  async stop(drainDelayMs: number): Promise<void> {
    this.#closing.abort();
    await Promise.all(
      this.workers.map((worker) => {
        if (worker.state === 'leaving') return worker.ended;
        if (worker.present) return worker.stop(drainDelayMs);
        worker.kill();
        return worker.ended;
      }),
    );
  }

  abort(): void {
    this.#closing.abort();
    for (const worker of this.#running) worker.kill();
  }

  async #launch(): Promise<void> {
    const { index, order, settle, acceptor } = this.#options;
    const worker = new RemoteWorker(
      index,
      () => void this.#replace(worker),
      (news) => this.#options.written(worker, news),
    );
    this.#running.add(worker);
    const ended = worker.ended.then((ending) => this.#ended(worker, ending));
    try {
      const what = order(index);
      const problem = await worker.order('build', what, buildMs);
      if (problem !== undefined) throw new ProblemsError([problem]);
      worker.hash = what.project.loaded.hash;
      worker.state = 'built';
      await settle(worker);
      await worker.order('serve', undefined, serveMs);
      worker.state = 'serving';
      acceptor.add(worker);
      void ended.then((ending) => this.#died(worker, ending));
    } catch (error) {
      if (worker.state !== 'gone') worker.state = 'leaving';
      if (error instanceof NoAnswer) worker.kill();
      else void worker.release();
      const { code, signal } = await ended;
      if (!(error instanceof NoAnswer)) throw error;
      throw new Error(`it ended before it served (${signal ?? `exit status ${code}`}): ${error.message}`, {
        cause: error,
      });
    }
  }

  #ended(worker: RemoteWorker, ending: Ending): Ending {
    this.#running.delete(worker);
    this.#options.acceptor.remove(worker);
    this.#options.gone(worker);
    return ending;
  }

  async #died(worker: RemoteWorker, { code, signal, livedMs }: Ending): Promise<void> {
    if (this.#closing.signal.aborted || worker.dismissed) return;
    const { index, log, deaths } = this.#options;
    deaths.add(1);
    const waitMs = this.#backoff.died(livedMs);
    const fields = { worker: index, pid: worker.pid, code, signal, hung: worker.hung, livedMs, nextInMs: waitMs };
    if (this.#backoff.looping) log.error(fields, 'worker keeps dying, the next one has to wait');
    else log.warn(fields, 'worker died');
    await this.#refill(waitMs);
  }

  async #refill(waitMs: number): Promise<void> {
    const { index, log } = this.#options;
    const { signal } = this.#closing;
    let nextMs = waitMs;
    const closing = () => signal.aborted;
    while (!closing()) {
      try {
        await sleep(nextMs, undefined, { signal });
        await this.#launch();
        log.info({ worker: index, pid: this.workers.at(-1)?.pid }, 'worker replaced');
        return;
      } catch (error) {
        if (closing()) return;
        nextMs = this.#backoff.died(0);
        log.error({ worker: index, error: (error as Error).message, nextInMs: nextMs }, 'worker cannot start');
      }
    }
  }

  /** Somebody has sent this one worker a SIGTERM: it goes on until another serves. */
  async #replace(worker: RemoteWorker): Promise<void> {
    await sleep(groupSignalMs);
    const serves = () => worker.state === 'serving';
    if (this.#closing.signal.aborted || !serves() || worker.dismissed) return;
    worker.dismissed = true;
    this.#options.log.info({ worker: this.#options.index, pid: worker.pid }, 'worker told to go, it is replaced');
    const limit = new AbortController();
    await Promise.race([this.#refill(0), sleep(takeOverMs, undefined, { signal: limit.signal }).catch(() => {})]);
    limit.abort();
    if (!serves()) return;
    this.#options.acceptor.remove(worker);
    await worker.stop(this.#options.drainDelayMs);
  }
}
