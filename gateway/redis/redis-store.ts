import { hash } from 'node:crypto';
import { ReplyError } from 'ioredis';
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

/** Of what is kept: an instance of another version must not misread it. */
const format = 'v1:';

/** Redis as what instances share: one connection for commands, one for messages. */
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
  #pending = 0;
  #up = false;

  constructor(settings: RedisSettings, log: Logger) {
    this.prefix = settings.keyPrefix + format;
    this.#maxPending = settings.maxPending;
    this.timeoutMs = settings.timeout;
    this.clustered = settings.cluster || settings.nodes.length > 0;
    this.#log = log;
    this.#commands = connectRedis(settings, 'commands');
    this.#messages = connectRedis(settings, 'messages');
    this.#commands.on('ready', () => this.#seen(true));
    this.#commands.on('close', () => this.#seen(false));
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
    for (const client of [this.#commands, this.#messages]) client.connect().catch(told);
  }

  stop(): void {
    this.#commands.disconnect();
    this.#messages.disconnect();
  }

  call(command: string, ...args: readonly StoreArgument[]): Promise<unknown> {
    return this.#send(command, args, this.timeoutMs);
  }

  async run(script: StoreScript, keys: readonly string[], args: readonly StoreArgument[]): Promise<unknown> {
    const digest = this.#digestOf(script);
    const rest = [keys.length, ...keys, ...args];
    const startedMs = performance.now();
    try {
      return await this.#send('EVALSHA', [digest, ...rest], this.timeoutMs);
    } catch (error) {
      // After a restart or SCRIPT FLUSH it does not know the script, and has done nothing.
      if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error;
      return this.#send('EVAL', [script.lua, ...rest], Math.max(1, this.timeoutMs - (performance.now() - startedMs)));
    }
  }

  listen(channel: string, listener: StoreListener): () => void {
    const name = this.prefix + channel;
    const known = this.#listeners.get(name);
    if (known) known.add(listener);
    else this.#listeners.set(name, new Set([listener]));
    if (this.#messages.status === 'ready') this.#subscribe(name);
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

  /** ioredis times a command only once it is written, so a socket that takes nothing would hold it. */
  #send(command: string, args: readonly StoreArgument[], timeoutMs: number): Promise<unknown> {
    if (!this.#up) return Promise.reject(new StoreUnavailable('Redis is not connected'));
    if (this.#pending >= this.#maxPending) return Promise.reject(new StoreUnavailable('too much is asked of Redis'));
    this.#pending++;
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new StoreUnavailable('Redis did not answer in time')), timeoutMs);
      const settle = () => {
        clearTimeout(late);
        this.#pending--;
      };
      this.#commands.call(command, ...args.map(plain)).then(
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
    if (up) this.#log.info({}, 'redis connected');
    else this.#log.warn({}, 'redis lost');
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

function plain(argument: StoreArgument): string | Buffer {
  return typeof argument === 'number' ? String(argument) : argument;
}

function told(): void {}
