import type { Clock } from '#core/clock.ts';

/** A clock that stands still until the test moves it. */
export class TestClock implements Clock {
  #monotonicMs = 0;
  #epochMs: number;

  constructor(at = '2026-01-01T00:00:00.000Z') {
    this.#epochMs = Date.parse(at);
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  epochMs(): number {
    return this.#epochMs;
  }

  advance(ms: number): void {
    this.#monotonicMs += ms;
    this.#epochMs += ms;
  }

  /** Somebody sets the wall clock, or it is put right. */
  set(at: string): void {
    this.#epochMs = Date.parse(at);
  }
}
