import { randomUUID } from 'node:crypto';
import type { Logger } from '#core/log.ts';
import type { SharedStore } from '#core/shared-store.ts';
import { Announcer, type Invalidation } from './invalidation.ts';
import type { MemoryStore } from './memory-store.ts';
import { epochField, stateOf, type SharedState } from './second-level/epochs.ts';
import { Keys } from './second-level/keys.ts';
import { announce, nextEra, readState } from './second-level/scripts.ts';
import type { SecondLevel } from './second-level/second-level.ts';

const channel = 'cache';

/** How often it is looked whether there are news that have not come: what has been missed is known after two of these. */
const checkEveryMs = 1_000;
/** The same while the store does not answer. */
const tryEveryMs = 200;

export interface SharedInvalidationOptions {
  readonly cache: MemoryStore;
  /** Where news are told and numbered. */
  readonly store: SharedStore;
  /** Where they are heard. */
  readonly messages: SharedStore;
  /** What of the cache lies in the store, where something does. */
  readonly second: SecondLevel | undefined;
  readonly log: Logger;
}

/**
 * Tells the other instances what was written through this one, and takes in what was through them. News are numbered where they
 * are told. Whoever sees by the numbers that he has missed some, or that the store has lost some, forgets all that is stored; so
 * does he when the connection that they come by is back.
 */
export class SharedInvalidations {
  readonly #cache: MemoryStore;
  readonly #store: SharedStore;
  readonly #messages: SharedStore;
  readonly #second: SecondLevel | undefined;
  readonly #log: Logger;
  readonly #self = randomUUID();
  readonly #announcer: Announcer;
  readonly #keys: readonly [state: string, nothing: string];
  #state: SharedState | undefined;
  /** The number of the last news that have come, of this era. */
  #heard: number | undefined;
  /** That of the last that had been told at the last check, so that they have come by the next. */
  #due = 0;
  #timer: NodeJS.Timeout | undefined;
  #ended = false;
  #leave: readonly (() => void)[] = [];

  constructor({ cache, store, messages, second, log }: SharedInvalidationOptions) {
    this.#cache = cache;
    this.#store = store;
    this.#messages = messages;
    this.#second = second;
    this.#log = log;
    const { state } = new Keys(store.prefix);
    this.#keys = [state, `${state}:nothing`];
    this.#announcer = new Announcer(
      (news) => this.#tell(news),
      () => this.#ended,
      (waiting) => {
        second?.hold(waiting);
      },
    );
  }

  start(): void {
    this.#second?.onLost(() => this.#checkIn(tryEveryMs));
    this.#leave = [
      this.#cache.onWritten((news) => this.#announcer.announce([news])),
      this.#messages.listen(channel, {
        message: (text) => this.#hear(text),
        lost() {},
        resumed: () => {
          this.#heard = undefined;
          this.#cache.apply({ all: true });
          // From which number on they come.
          this.#read().catch((error: unknown) => this.#unanswered(error));
        },
      }),
    ];
    void this.#check();
  }

  stop(): void {
    this.#ended = true;
    clearTimeout(this.#timer);
    for (const leave of this.#leave) leave();
  }

  /** Resolves when the others have been told all that is known here, or after so long. */
  async told(waitMs: number): Promise<void> {
    if (!this.#store.up) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const late = setTimeout(resolve, waitMs);
    await Promise.race([this.#announcer.told(), promise]);
    clearTimeout(late);
  }

  /** First what lies in the store: who hears of it looks there next. */
  async #tell(news: readonly Invalidation[]): Promise<void> {
    const fields: string[] = [];
    for (const { upstream, all } of news)
      if (all) fields.push(upstream === undefined ? 'era' : epochField(upstream), randomUUID());
    if (this.#second) for (const one of news) await this.#second.forget(one);
    const text = JSON.stringify({ from: this.#self, knows: this.#second?.upstreams ?? [], news });
    await this.#store.run(announce, this.#keys, [this.#store.prefix + channel, text, ...fields]);
    if (fields.length > 0) await this.#read();
  }

  #hear(text: string): void {
    const message = parsed(text);
    // What nobody can read may have been about anything.
    if (!message) return void this.#cache.apply({ all: true });
    const { number, from, news, knows } = message;
    if (this.#heard !== undefined && number > this.#heard + 1) this.#missed(number);
    this.#heard = Math.max(number, this.#heard ?? 0);
    if (from === this.#self) return;
    for (const one of news) this.#cache.apply(one);
    // Where all of an upstream lies now, the store has to say.
    if (news.some(({ all }) => all)) this.#reconsider(undefined);
    else this.#forgetRest(news, knows);
  }

  /** Of upstreams that who told has never heard of, as it has another configuration, nobody else makes it invalid in Redis. */
  #forgetRest(news: readonly Invalidation[], knows: readonly string[]): void {
    const second = this.#second;
    if (!second) return;
    const rest = second.upstreams.filter((name) => !knows.includes(name));
    const ours = news.filter(({ upstream }) => upstream === undefined);
    if (rest.length > 0 && ours.length > 0) this.#reconsider(Promise.all(ours.map((one) => second.forget(one, rest))));
  }

  /** Nothing is looked up in Redis until that is done, and the state read after it. */
  #reconsider(first: Promise<unknown> | undefined): void {
    this.#second?.suspend();
    const read = first ? first.then(() => this.#read()) : this.#read();
    read.catch((error: unknown) => this.#unanswered(error));
  }

  async #check(): Promise<void> {
    let again = checkEveryMs;
    try {
      const { news } = await this.#read();
      if (this.#heard! < this.#due) this.#missed(news);
      this.#due = news;
    } catch (error) {
      again = tryEveryMs;
      this.#unanswered(error);
    }
    this.#checkIn(again);
  }

  #checkIn(ms: number): void {
    clearTimeout(this.#timer);
    if (!this.#ended) this.#timer = setTimeout(() => void this.#check(), ms).unref();
  }

  #unanswered(err: unknown): void {
    this.#second?.suspend();
    this.#log.debug({ err }, 'it is not known what other instances have made invalid');
  }

  /** @throws {StoreUnavailable} */
  async #read(): Promise<SharedState> {
    let state = stateOf(await this.#store.run(readState, [this.#keys[0]], [randomUUID()]));
    const before = this.#state;
    if (before && state && state.era === before.era && state.news < before.news) {
      // It has forgotten what it knew, as a replica may that has become the primary: nobody knows what else it brings back.
      state = stateOf(await this.#store.run(nextEra, this.#keys, [state.era, randomUUID()]));
    }
    if (!state) throw new Error('the state of the cache in Redis cannot be read');
    if (before && state.era !== before.era) {
      this.#cache.apply({ all: true });
      this.#heard = undefined;
      this.#due = 0;
    }
    this.#heard ??= state.news;
    this.#state = state;
    this.#second?.resume(state);
    return state;
  }

  /** @param number of what has been told by now */
  #missed(number: number): void {
    this.#log.warn({}, 'messages of other instances were missed, so that nothing stays stored in memory');
    this.#cache.apply({ all: true });
    this.#heard = number;
  }
}

interface Message {
  readonly number: number;
  readonly from: string;
  /** Upstreams of which the sender has made it invalid wherever no upstream is named. */
  readonly knows: readonly string[];
  readonly news: readonly Invalidation[];
}

function parsed(text: string): Message | undefined {
  const end = text.indexOf('\n');
  const number = Number(text.slice(0, Math.max(0, end)));
  try {
    const { from = '', knows = [], news } = JSON.parse(text.slice(end + 1)) as Partial<Message>;
    if (end <= 0 || !Number.isSafeInteger(number) || !Array.isArray(news) || !Array.isArray(knows)) return undefined;
    return { number, from, knows, news };
  } catch {
    return undefined;
  }
}
