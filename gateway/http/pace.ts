/** How slowly a client may send or read before it is given up. */
export interface PaceSettings {
  /** Longest time without a byte, and the time over which the rate is taken. */
  readonly timeoutMs: number;
  /** 0 asks for none. */
  readonly minBytesPerSecond: number;
}

/**
 * Calls `late`, once, when a body comes too slowly: nothing for `timeoutMs`, or in as long a time fewer bytes than the least
 * rate makes. The time alone would let a client that sends a byte now and then stay for days.
 */
export class Pace {
  readonly #settings: PaceSettings;
  readonly #late: () => void;
  #timer: NodeJS.Timeout | undefined;
  #sinceMs = 0;
  #bytes = 0;

  constructor(settings: PaceSettings, late: () => void) {
    this.#settings = settings;
    this.#late = late;
  }

  /** It is the client's turn. */
  start(): void {
    this.#bytes = 0;
    this.#sinceMs = performance.now();
    if (this.#timer) this.#timer.refresh();
    else this.#timer = setTimeout(() => this.#stopLate(), this.#settings.timeoutMs);
  }

  came(bytes: number): void {
    if (!this.#timer) return;
    this.#timer.refresh();
    this.#bytes += bytes;
    const { timeoutMs, minBytesPerSecond } = this.#settings;
    const nowMs = performance.now();
    const elapsedMs = nowMs - this.#sinceMs;
    if (elapsedMs < timeoutMs) return;
    if (this.#bytes < (elapsedMs / 1000) * minBytesPerSecond) {
      this.#stopLate();
    } else {
      this.#bytes = 0;
      this.#sinceMs = nowMs;
    }
  }

  /** It is no longer the client's turn. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #stopLate(): void {
    this.stop();
    this.#late();
  }
}
