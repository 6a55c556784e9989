import type { Logger } from '#core/log.ts';

/** Between what was noticed and its line. */
const everyMs = 10_000;
/** Consumers in a line. */
const maxConsumers = 8;

const texts = {
  warned: 'a limit is nearly used up',
  shadow: 'a limit that only reports would have refused',
} as const;

export type Notice = keyof typeof texts;

interface Tally {
  readonly notice: Notice;
  readonly limit: string;
  count: number;
  readonly consumers: Set<string>;
}

/** Writes down what goes on without being refused: a line for each limit and ten seconds, with how often and who. */
export class Notices {
  readonly #log: Logger;
  /** By limit, of which there are as many as are configured. */
  readonly #tallies = new Map<string, Tally>();
  #timer: NodeJS.Timeout | undefined;

  constructor(log: Logger) {
    this.#log = log;
  }

  note(notice: Notice, limit: string, consumer: string): void {
    const key = `${notice} ${limit}`;
    let tally = this.#tallies.get(key);
    if (!tally) this.#tallies.set(key, (tally = { notice, limit, count: 0, consumers: new Set() }));
    tally.count++;
    if (tally.consumers.size < maxConsumers) tally.consumers.add(consumer.slice(0, 256));
    this.#timer ??= setTimeout(() => this.flush(), everyMs).unref();
  }

  /** Says what has been counted, now. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const { notice, limit, count, consumers } of this.#tallies.values())
      this.#log.warn({ limit, count, consumers: [...consumers] }, texts[notice]);
    this.#tallies.clear();
  }
}
