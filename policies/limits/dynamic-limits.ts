import type { Clock } from '#core/clock.ts';
import type { Logger } from '#core/log.ts';
import type { Meter } from '#core/meter.ts';
import type { SharedStore } from '#core/shared-store.ts';
import { ErrorRate, type CallTotals } from './error-rate.ts';
import type { Limit } from './limit.ts';

/** What of an upstream makes limits smaller. */
export interface WatchedUpstream {
  readonly name: string;
  readonly breaker: { readonly state: string };
  readonly recent: { readonly totals: CallTotals };
}

/** A limit that is smaller than it is written, because of how upstreams do. */
export interface ScaledLimit {
  /** Where it is written, with its name: `tier.pro.minute`. */
  readonly limit: string;
  readonly scale: number;
  /** A sentence without its end: `60 % of the calls to 'orders' fail`. */
  readonly why: string;
  /** ISO 8601: when it is what is written again, unless upstreams do as badly by then. */
  readonly until: string;
}

/** How often conditions are looked at: never on the way of a request. */
const everyMs = 250;
/** How often instances tell each other, so that all of them enforce the same. */
const shareEveryMs = 1_000;

interface Watched {
  readonly limit: Limit;
  readonly rate: ErrorRate | undefined;
}

/** Why and for how long a limit is smaller. */
interface Held {
  untilMs: number;
  why: string;
}

/**
 * Makes limits smaller while the upstreams behind them fail, and what is written again some time after they have stopped to.
 * All instances on one store do what the first of them has seen.
 */
export class DynamicLimits {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #store: SharedStore | undefined;
  #all: readonly Limit[] = [];
  #watched: readonly Watched[] = [];
  #upstreams: readonly WatchedUpstream[] = [];
  #changed: () => void = () => {};
  /** By id of the limit, so that it goes on over a reload. */
  readonly #held = new Map<string, Held>();
  #timer: NodeJS.Timeout | undefined;
  #sharedMs = Number.NEGATIVE_INFINITY;
  #sharing = false;

  constructor(clock: Clock, log: Logger, meter: Meter, store: SharedStore | undefined) {
    this.#clock = clock;
    this.#log = log;
    this.#store = store;
    meter.observe(
      'weir.limits.scale',
      {
        kind: 'gauge',
        unit: '',
        description: 'How many times what is written a limit is now; of several of one name the smallest.',
        across: 'each',
      },
      (report) => {
        const scales = new Map<string, number>();
        for (const { name, factor } of this.#all) scales.set(name, Math.min(factor, scales.get(name) ?? factor));
        for (const [name, factor] of scales) report(factor, { 'weir.limit': name });
      },
    );
  }

  /**
   * Looks after the limits of another configuration from now on.
   * @param changed called when one of them has become smaller or larger
   */
  watch(limits: readonly Limit[], upstreams: readonly WatchedUpstream[], changed: () => void): void {
    this.#all = limits;
    this.#upstreams = upstreams;
    this.#changed = changed;
    this.#watched = limits.flatMap((limit) => {
      const { dynamic } = limit;
      if (!dynamic) return [];
      const { errorRate, over } = dynamic.when;
      return [{ limit, rate: errorRate === undefined ? undefined : new ErrorRate(over) }];
    });
    const ids = new Set(this.#watched.map(({ limit }) => limit.id));
    for (const id of this.#held.keys()) if (!ids.has(id)) this.#held.delete(id);
    this.look();
    clearInterval(this.#timer);
    this.#timer =
      this.#watched.length > 0
        ? setInterval(() => {
            this.look();
            void this.share();
          }, everyMs).unref()
        : undefined;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Those that are smaller now. */
  get scaled(): ScaledLimit[] {
    const now = this.#clock.monotonicMs();
    return this.#watched.flatMap(({ limit: { id, path, dynamic } }) => {
      const held = this.#held.get(id);
      if (!held) return [];
      const until = new Date(this.#clock.epochMs() + held.untilMs - now).toISOString();
      return [{ limit: path, scale: dynamic!.scale, why: held.why, until }];
    });
  }

  /** Milliseconds until a limit is what is written again, at the earliest; 0 for one that is. */
  remainingMs({ id }: Limit): number {
    const held = this.#held.get(id);
    return held ? Math.max(0, held.untilMs - this.#clock.monotonicMs()) : 0;
  }

  /** Looks at all conditions, and makes limits smaller or larger. */
  look(): void {
    const now = this.#clock.monotonicMs();
    let changes = 0;
    for (const watched of this.#watched) {
      const { limit } = watched;
      const why = this.#reason(watched, now);
      if (why !== undefined) this.#hold(limit, why, now + limit.dynamic!.forMs);
      else if ((this.#held.get(limit.id)?.untilMs ?? now + 1) <= now) this.#end(limit);
      if (limit.adapt(this.#held.has(limit.id) ? limit.dynamic!.scale : 1)) changes++;
    }
    if (changes > 0) this.#changed();
  }

  /** Tells other instances what holds here, and hears what holds there. Whoever is not heard does what it sees itself. */
  async share(): Promise<void> {
    const store = this.#store;
    const now = this.#clock.monotonicMs();
    if (!store?.up || this.#sharing || this.#watched.length === 0 || now - this.#sharedMs < shareEveryMs) return;
    this.#sharing = true;
    this.#sharedMs = now;
    try {
      const met = this.#watched.flatMap((watched) => {
        const why = this.#reason(watched, now);
        return why === undefined ? [] : [{ limit: watched.limit, why }];
      });
      await Promise.all(
        met.map(({ limit, why }) => store.call('SET', this.#keyOf(limit, store), why, 'PX', limit.dynamic!.forMs)),
      );
      const keys = this.#watched.map(({ limit }) => this.#keyOf(limit, store));
      const told = (await store.call('MGET', ...keys)) as readonly (string | null)[];
      for (const [index, { limit }] of this.#watched.entries()) {
        const why = told[index];
        // Until it is heard again, and once more.
        if (typeof why === 'string') this.#hold(limit, why, this.#clock.monotonicMs() + 2 * shareEveryMs);
      }
      this.look();
    } catch (err) {
      this.#log.debug({ err }, 'what makes limits smaller could not be shared');
    } finally {
      this.#sharing = false;
    }
  }

  /** One hash tag for all of them: they are asked for at once. */
  #keyOf({ id }: Limit, { prefix }: SharedStore): string {
    return `${prefix}-:limit:{dynamic}:${id}`;
  }

  #hold(limit: Limit, why: string, untilMs: number): void {
    const held = this.#held.get(limit.id);
    if (held) {
      held.why = why;
      held.untilMs = Math.max(held.untilMs, untilMs);
      return;
    }
    this.#held.set(limit.id, { why, untilMs });
    const { path, dynamic } = limit;
    this.#log.warn({ limit: path, scale: dynamic!.scale, why, forMs: dynamic!.forMs }, 'a limit is made smaller');
  }

  #end({ id, path }: Limit): void {
    this.#held.delete(id);
    this.#log.info({ limit: path }, 'a limit is what is written again');
  }

  /** Why a limit is to be smaller; undefined while it is not. */
  #reason({ limit, rate }: Watched, now: number): string | undefined {
    const { breaker, errorRate, minCalls, upstream } = limit.dynamic!.when;
    const named = upstream === undefined ? this.#upstreams : this.#upstreams.filter(({ name }) => name === upstream);
    if (breaker !== undefined)
      return named.some((one) => one.breaker.state === breaker) ? `the breaker of '${upstream}' is open` : undefined;
    let [calls, errors] = [0, 0];
    for (const { recent } of named) {
      const { totals } = recent;
      calls += totals.calls;
      errors += totals.errors;
    }
    const seen = rate!.look(now, { calls, errors });
    if (seen.calls < minCalls || seen.errors <= errorRate! * seen.calls) return undefined;
    const of = upstream === undefined ? 'all calls to upstreams' : `the calls to '${upstream}'`;
    return `${Math.round((100 * seen.errors) / seen.calls)} % of ${of} fail`;
  }
}
