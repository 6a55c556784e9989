import { systemClock, type Clock } from '#core/clock.ts';
import { errorCodes, errorRow, type ErrorCode } from '#core/errors.ts';
import type { Logger } from '#core/log.ts';

/** Connections that are closed as soon as they are made have no request, and so no error. */
const connectionCodes = ['CONNECTIONS', 'CONNECTIONS_PER_IP'] as const;

/** What a flood is made of. */
export type RefusalCode = ErrorCode | (typeof connectionCodes)[number];

/** Lines of one code in a second; what is beyond is counted. */
const linesPerS = 10;
/** Between what was counted and its line. */
const everyMs = 10_000;
/** Addresses in such a line. */
const maxClients = 8;

/**
 * Keeps a flood out of the log: the first refusals of a code in each second have lines of their own, the others are one
 * line together. It holds a few numbers and addresses for each code of the table, however many come.
 */
export class RefusalLog {
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #tallies = new Map<RefusalCode, Tally>(
    [...errorCodes, ...connectionCodes].map((code) => [code, new Tally()]),
  );
  #timer: NodeJS.Timeout | undefined;

  constructor(log: Logger, clock: Clock = systemClock) {
    this.#log = log;
    this.#clock = clock;
  }

  /** @returns true when it is to have its own line; else it has been counted */
  takes(code: RefusalCode, from: { readonly clientIp: string }): boolean {
    const tally = this.#tallies.get(code)!;
    const now = this.#clock.monotonicMs();
    if (tally.hasLine(now)) return true;
    this.#count(tally, now, from);
    return false;
  }

  /** For what never has a line of its own. */
  count(code: RefusalCode, from: { readonly clientIp: string }): void {
    this.#count(this.#tallies.get(code)!, this.#clock.monotonicMs(), from);
  }

  /** Says what has been counted, now. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const now = this.#clock.monotonicMs();
    for (const [code, tally] of this.#tallies) {
      if (tally.counted === 0) continue;
      const { count, sinceMs, clientIps } = tally.empty();
      const fields = { code, count, overMs: Math.round(now - sinceMs), clientIps };
      if (isGateways(code)) this.#log.warn(fields, 'refused');
      else this.#log.info(fields, 'refused');
    }
  }

  #count(tally: Tally, now: number, from: { readonly clientIp: string }): void {
    tally.count(now, from);
    this.#timer ??= setTimeout(() => this.flush(), everyMs).unref();
  }
}

/** Whoever runs the gateway has to act, rather than its callers. */
function isGateways(code: RefusalCode): boolean {
  return code === 'CONNECTIONS' || (code !== 'CONNECTIONS_PER_IP' && errorRow(code).fault === 'gateway');
}

/** What was refused with one code. */
class Tally {
  counted = 0;
  #sinceMs = 0;
  #secondMs = Number.NEGATIVE_INFINITY;
  #lines = 0;
  #clients = new Set<string>();

  hasLine(nowMs: number): boolean {
    if (nowMs - this.#secondMs >= 1_000) {
      this.#secondMs = nowMs;
      this.#lines = 0;
    }
    return this.#lines++ < linesPerS;
  }

  count(nowMs: number, from: { readonly clientIp: string }): void {
    if (this.counted++ === 0) this.#sinceMs = nowMs;
    // Every power of two: few of many, from the first to the last.
    const sampled = (this.counted & (this.counted - 1)) === 0;
    if (sampled && this.#clients.size < maxClients) this.#clients.add(from.clientIp);
  }

  empty(): { readonly count: number; readonly sinceMs: number; readonly clientIps: readonly string[] } {
    const { counted: count } = this;
    const clientIps = [...this.#clients];
    this.counted = 0;
    this.#clients = new Set();
    return { count, sinceMs: this.#sinceMs, clientIps };
  }
}
