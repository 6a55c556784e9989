/** Between two reports to the store; what an instance has gathered since is lost with it. */
const everyMs = 5_000;
/** The most that one report tells apart; the rest is told with the next. */
const maxReported = 200;

export interface Reported<T> {
  /** What has come together since it was taken last. */
  readonly take: () => readonly T[];
  /** Adds what was taken to what comes together for the next report. */
  readonly giveBack: (items: readonly T[]) => void;
  readonly tell: (items: readonly T[]) => Promise<unknown>;
  readonly failed: (error: unknown) => void;
}

/** Tells the store every few seconds what has come together, off the path of requests. What it does not take is told again. */
export class Reporter<T> {
  readonly #of: Reported<T>;
  #timer: NodeJS.Timeout | undefined;

  constructor(of: Reported<T>) {
    this.#of = of;
  }

  start(): void {
    this.#timer = setInterval(() => void this.report(), everyMs).unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.report();
  }

  async report(): Promise<void> {
    const { take, giveBack, tell, failed } = this.#of;
    const all = take();
    if (all.length === 0) return;
    giveBack(all.slice(maxReported));
    const told = all.slice(0, maxReported);
    try {
      await tell(told);
    } catch (error) {
      giveBack(told);
      failed(error);
    }
  }
}
