import type { Clock } from '#core/clock.ts';
import type { Logger } from '#core/log.ts';
import { matches, maxOverrides, placeOf, type Operator, type Override, type OverrideFilter } from './override.ts';

interface Held {
  readonly override: Override;
  /** Monotonic. */
  readonly endsMs: number;
}

/**
 * What operators have changed at run time and is in force: one for each target, at most a hundred. Each expires by itself.
 * All that happens to them is written to the audit log.
 */
export class Overrides {
  readonly #clock: Clock;
  readonly #audit: Logger;
  readonly #changed: () => void;
  /** By target. */
  readonly #held = new Map<string, Held>();
  #timer: NodeJS.Timeout | undefined;

  /** @param changed called after each change, expiry included */
  constructor(clock: Clock, audit: Logger, changed: () => void) {
    this.#clock = clock;
    this.#audit = audit;
    this.#changed = changed;
  }

  /** Those in force, the oldest first. */
  list(which: OverrideFilter = {}): Override[] {
    const now = this.#clock.monotonicMs();
    return [...this.#held.values()].flatMap(({ override, endsMs }) =>
      endsMs > now && matches(override, which) ? [override] : [],
    );
  }

  /** Whether one more would be one too many; one for the same target takes the other's place. */
  hasRoomFor(override: Override): boolean {
    return this.#held.size < maxOverrides || this.#held.has(placeOf(override));
  }

  /** @returns what it replaces */
  set(override: Override): Override | undefined {
    const key = placeOf(override);
    const former = this.#held.get(key)?.override;
    // To the end of the list, where the latest stand.
    this.#held.delete(key);
    const leftMs = Date.parse(override.until) - this.#clock.epochMs();
    this.#held.set(key, { override, endsMs: this.#clock.monotonicMs() + leftMs });
    // The same one again is another process's copy, not another change.
    if (former?.id !== override.id)
      this.#log(former ? 'replaced' : 'set', override, override, former && { replaced: former.id });
    this.#settle();
    return former;
  }

  remove(which: OverrideFilter, operator: Operator): Override[] {
    const removed = this.list(which);
    for (const override of removed) {
      this.#held.delete(placeOf(override));
      this.#log('removed', override, operator);
    }
    if (removed.length > 0) this.#settle();
    return removed;
  }

  /** Forgets the timer; for the end of the process. */
  stop(): void {
    clearTimeout(this.#timer);
  }

  #settle(): void {
    this.#changed();
    clearTimeout(this.#timer);
    const next = Math.min(...[...this.#held.values()].map(({ endsMs }) => endsMs));
    if (!Number.isFinite(next)) return;
    const waitMs = Math.max(0, Math.ceil(next - this.#clock.monotonicMs()));
    this.#timer = setTimeout(() => this.#expire(), waitMs).unref();
  }

  #expire(): void {
    const now = this.#clock.monotonicMs();
    for (const [key, { override, endsMs }] of this.#held) {
      if (endsMs > now) continue;
      this.#held.delete(key);
      this.#log('expired', override, override);
    }
    this.#settle();
  }

  #log(happened: string, override: Override, { by, reason, from }: Operator, more: object = {}): void {
    const { id, kind, target, action, at, until } = override;
    this.#audit.warn({ happened, id, kind, target, action, by, reason, from, at, until, ...more }, 'operator');
  }
}
