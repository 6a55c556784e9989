import { hash } from 'node:crypto';
import { Redis, ReplyError } from 'ioredis';
import type { Logger } from '#core/log.ts';
import {
  StoreUnavailable,
  type SharedStore,
  type StoreArgument,
  type StoreListener,
  type StoreScript,
} from '#core/shared-store.ts';
import { connectRedis, type RedisClient } from './connect.ts';
import type { RedisSettings } from './settings.ts';

/** What ioredis has and does not declare; its `callBuffer` loses the command when it pipelines. */
type ForBytes = Readonly<Record<'evalBuffer' | 'evalshaBuffer', (...args: (string | Buffer)[]) => Promise<unknown>>>;

/** Of what is kept: an instance of another version must not misread it. */
const format = 'v1:';

/**
 * Redis as what instances share: one connection for commands, and one for messages where somebody listens.
 *
 * Commands wait for each other. Whoever asks for much at once has a store of its own, so that nobody else is late for it.
 */
export class RedisStore implements SharedStore {
  readonly prefix: string;
  readonly #commands: RedisClient;
  readonly #messages: RedisClient;
  readonly #maxPending: number;
  readonly timeoutMs: number;
  readonly clustered: boolean;
  readonly #log: Logger;
  readonly #digests = new WeakMap<StoreScript, string>();
  readonly #listeners = new Map<string, Set<StoreListener>>();
  readonly #what: object;
  #pending = 0;
  #up = false;
  #started = false;
  /** The connection that holds back what is written to it until this turn of the event loop is over. */
  #corked: Redis['stream'] | undefined;

  /** @param what for the log: what the store is for, where there are several */
  constructor(settings: RedisSettings, log: Logger, what?: string) {
    this.#what = what === undefined ? {} : { for: what };
    this.prefix = settings.keyPrefix + format;
    this.#maxPending = settings.maxPending;
    this.timeoutMs = settings.timeout;
    this.clustered = settings.cluster || settings.nodes.length > 0;
    this.#log = log;
    this.#commands = connectRedis(settings, 'commands');
    this.#messages = connectRedis(settings, 'messages');
    this.#commands.on('ready', () => this.#seen(true));
    this.#commands.on('close', () => {
      this.#seen(false);
      // A server that hangs ends neither connection, and who only listens has nothing to wait for: its silence would pass for peace.
      if (this.#started && this.#messages.status === 'ready') this.#messages.disconnect(true);
    });
    this.#messages.on('ready', () => this.#resubscribed());
    this.#messages.on('close', () => this.#lost());
    this.#messages.on('message', (channel: string, text: string) => {
      for (const listener of this.#listeners.get(channel) ?? []) listener.message(text);
    });
    for (const client of [this.#commands, this.#messages]) {
      // Told once, by its state; ioredis says it again at every attempt.
      client.on('error', (error: Error) => log.debug({ err: error }, 'redis'));
    }
  }

  get up(): boolean {
    return this.#up;
  }

  /** Begins to connect, and waits for nothing. */
  start(): void {
    this.#started = true;
    this.#commands.connect().catch(told);
    this.#hear();
  }

  #hear(): void {
    if (this.#started && this.#listeners.size > 0 && this.#messages.status === 'wait')
      this.#messages.connect().catch(told);
  }

  stop(): void {
    this.#started = false;
    this.#commands.disconnect();
    this.#messages.disconnect();
  }

  call(command: string, ...args: readonly StoreArgument[]): Promise<unknown> {
    return this.#send(command, args, this.timeoutMs, false);
  }

  run(script: StoreScript, keys: readonly string[], args: readonly StoreArgument[]): Promise<unknown> {
    return this.#run(script, keys, args, false);
  }

  read(script: StoreScript, keys: readonly string[], args: readonly StoreArgument[]): Promise<unknown> {
    return this.#run(script, keys, args, true);
  }

  async #run(
    script: StoreScript,
    keys: readonly string[],
    args: readonly StoreArgument[],
    bytes: boolean,
  ): Promise<unknown> {
    const digest = this.#digestOf(script);
    const rest = [keys.length, ...keys, ...args];
    const startedMs = performance.now();
    try {
      return await this.#send('EVALSHA', [digest, ...rest], this.timeoutMs, bytes);
    } catch (error) {
      // After a restart or SCRIPT FLUSH it does not know the script, and has done nothing.
      if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error;
      const leftMs = Math.max(1, this.timeoutMs - (performance.now() - startedMs));
      return this.#send('EVAL', [script.lua, ...rest], leftMs, bytes);
    }
  }

  listen(channel: string, listener: StoreListener): () => void {
    const name = this.prefix + channel;
    const known = this.#listeners.get(name);
    if (known) known.add(listener);
    else this.#listeners.set(name, new Set([listener]));
    if (this.#messages.status === 'ready') this.#subscribe(name);
    else this.#hear();
    return () => {
      const listeners = this.#listeners.get(name);
      listeners?.delete(listener);
      if (listeners?.size !== 0) return;
      this.#listeners.delete(name);
      if (this.#messages.status === 'ready') this.#messages.unsubscribe(name).catch(told);
    };
  }

  #digestOf(script: StoreScript): string {
    let digest = this.#digests.get(script);
    if (digest === undefined) {
      digest = hash('sha1', script.lua);
      this.#digests.set(script, digest);
    }
    return digest;
  }

  /**
   * Lets what is asked in one turn of the event loop go out in one write. The pipelines that ioredis makes of it by itself take
   * half as much again as the commands, and outlive them; on a cluster, where there is a connection to each node, they do it.
   */
  #cork(client: Redis): void {
    if (this.#corked) return;
    this.#corked = client.stream;
    this.#corked.cork();
    setImmediate(uncork, this);
  }

  uncork(): void {
    this.#corked?.uncork();
    this.#corked = undefined;
  }

  /** ioredis times a command only once it is written, so a socket that takes nothing would hold it. */
  #send(command: string, args: readonly StoreArgument[], timeoutMs: number, bytes: boolean): Promise<unknown> {
    if (!this.#up) return Promise.reject(new StoreUnavailable('Redis is not connected'));
    if (this.#pending >= this.#maxPending) return Promise.reject(new StoreUnavailable('too much is asked of Redis'));
    this.#pending++;
    if (this.#commands instanceof Redis) this.#cork(this.#commands);
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new StoreUnavailable('Redis did not answer in time')), timeoutMs);
      const settle = () => {
        clearTimeout(late);
        this.#pending--;
      };
      const plainly = args.map(plain);
      const asked = bytes
        ? (this.#commands as unknown as ForBytes)[command === 'EVAL' ? 'evalBuffer' : 'evalshaBuffer'](...plainly)
        : this.#commands.call(command, ...plainly);
      asked.then(
        (answer) => {
          settle();
          resolve(answer);
        },
        (error: unknown) => {
          settle();
          reject(
            error instanceof ReplyError ? (error as Error) : new StoreUnavailable('Redis failed', { cause: error }),
          );
        },
      );
    });
  }

  #seen(up: boolean): void {
    if (this.#up === up) return;
    this.#up = up;
    if (up) this.#log.info(this.#what, 'redis connected');
    else this.#log.warn(this.#what, 'redis lost');
  }

  #subscribe(name: string): void {
    this.#messages.subscribe(name).then(
      () => {
        for (const listener of this.#listeners.get(name) ?? []) listener.resumed();
      },
      // The connection is gone again, and all is subscribed anew when it is back.
      told,
    );
  }

  #resubscribed(): void {
    for (const name of this.#listeners.keys()) this.#subscribe(name);
  }

  #lost(): void {
    for (const listeners of this.#listeners.values()) for (const listener of listeners) listener.lost();
  }
}

function uncork(store: RedisStore): void {
  store.uncork();
}

function plain(argument: StoreArgument): string | Buffer {
  return typeof argument === 'number' ? String(argument) : argument;
}

function told(): void {}
