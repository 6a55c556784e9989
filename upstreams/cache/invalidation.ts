/** What is no longer so. Plain data: it crosses processes. */
export interface Invalidation {
  /** Of one upstream; of all where it is left out. */
  readonly upstream?: string;
  /** As the upstream is asked for them, without a query: whatever is stored of them. */
  readonly paths?: readonly string[];
  readonly tags?: readonly string[];
  /** Everything. */
  readonly all?: true;
}

/** More of them than this wait for nobody: who is told so late starts afresh. */
const maxWaiting = 1_000;

/** Between two attempts to tell what could not be told. */
const pauseMs = 250;

/**
 * Tells others of invalidations in the order they happened: one message at a time, with all that has come up meanwhile. What
 * cannot be told is tried again, since whoever has not heard of it gives out what is wrong.
 */
export class Announcer {
  readonly #tell: (news: readonly Invalidation[]) => Promise<unknown>;
  readonly #gone: () => boolean;
  readonly #behind: (behind: boolean) => void;
  #waiting: Invalidation[] = [];
  #telling: Promise<void> | undefined;

  /**
   * @param gone nobody is there any more to be told
   * @param behind called when there is something that has not been told yet, and when all has been
   */
  constructor(
    tell: (news: readonly Invalidation[]) => Promise<unknown>,
    gone: () => boolean = () => false,
    behind: (behind: boolean) => void = () => {},
  ) {
    this.#tell = tell;
    this.#gone = gone;
    this.#behind = behind;
  }

  announce(news: readonly Invalidation[]): void {
    if (this.#waiting.length + news.length > maxWaiting) this.#waiting = [{ all: true }];
    else this.#waiting.push(...news);
    this.#telling ??= this.#run();
  }

  /** Resolves when all has been told. */
  async told(): Promise<void> {
    await this.#telling;
  }

  async #run(): Promise<void> {
    this.#behind(true);
    while (this.#waiting.length > 0 && !this.#gone()) {
      const news = this.#waiting;
      this.#waiting = [];
      try {
        await this.#tell(news);
      } catch {
        this.#waiting = [...news, ...this.#waiting].slice(-maxWaiting);
        if (this.#waiting.length === maxWaiting) this.#waiting = [{ all: true }];
        await new Promise((resolve) => setTimeout(resolve, pauseMs).unref());
      }
    }
    this.#telling = undefined;
    this.#behind(false);
  }
}
