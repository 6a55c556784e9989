import type { Clock } from '#core/clock.ts';
import type { RequestContext } from '#core/context.ts';
import type { Logger } from '#core/log.ts';
import type { Meter } from '#core/meter.ts';
import type { SharedStore } from '#core/shared-store.ts';
import { beyondQuota, overLimit, standings, writeHeaders, type Standing } from './answers.ts';
import { Booking } from './booking.ts';
import { Charge, type LimitStore } from './charge.ts';
import { Limit, type LimitPlace, type Tables } from './limit.ts';
import { limitOutcomes, type LimitOutcomes } from './limit-metrics.ts';
import { MemoryStore } from './memory-store.ts';
import { Notices } from './notices.ts';
import type { PaidBy } from './payer.ts';
import { GuardedStore } from './shared/guarded-store.ts';
import type { LimitSettings, LimitsSettings, TierSettings } from './settings.ts';

export interface LimitsConfig {
  readonly limits: LimitsSettings;
  readonly tiers: Readonly<Record<string, TierSettings>>;
  /** Those of the table, by name. */
  readonly routes: readonly { readonly name: string; readonly limits?: readonly LimitSettings[] | undefined }[];
}

export interface LimitsSurroundings {
  readonly clock: Clock;
  readonly log: Logger;
  readonly meter: Meter;
  readonly store: SharedStore | undefined;
  /** Processes that are one gateway: without a store each enforces its share. */
  readonly workers: number;
}

/** All limits of one kind of request, which are decided together. */
interface LimitSet {
  readonly limits: readonly Limit[];
  readonly outcomes: readonly LimitOutcomes[];
  readonly tier: TierSettings | undefined;
  /** `RateLimit-Policy`; empty where clients are told nothing. */
  readonly policy: string;
}

/** What outlives a configuration: where is counted, and what has been. */
interface Lasting {
  readonly memory: MemoryStore;
  readonly store: LimitStore;
  /** The same, where it is shared. */
  readonly guarded: GuardedStore | undefined;
  readonly outcomes: (limit: string) => LimitOutcomes;
  readonly notices: Notices;
  /** What operators hold, by the name of a limit. */
  readonly scales: Map<string, number>;
}

/** For who looks whether instances count together. */
export interface SharedLimits {
  /** Where limits are counted now, or what is done instead. */
  readonly counted: 'redis' | LimitsSettings['onStoreFailure'];
  readonly instances: number;
}

/** Requests that are delayed at once; more go on without, since waiting costs us more than them. */
const maxDelayed = 1_000;

let delayed = 0;

/** The limits of one configuration: decides on requests before their work begins, and books what they cost. */
export class Limits {
  readonly #settings: LimitsSettings;
  readonly #tiers: Readonly<Record<string, TierSettings>>;
  readonly #lasting: Lasting;
  readonly #all: Limit[] = [];
  readonly #tables: Tables = new Map<string, never>();
  readonly #outcomes = new Map<Limit, LimitOutcomes>();
  readonly #perIp: LimitSet;
  readonly #ofTier = new Map<string, readonly Limit[]>();
  readonly #ofRoute = new Map<string, readonly Limit[]>();
  readonly #global: readonly Limit[];
  /** By tier and route, made when they are first met: as many as the configuration has. */
  readonly #sets = new Map<string, Map<string, LimitSet>>();

  /** @param former what served before a reload: what it has counted goes on */
  constructor(config: LimitsConfig, surroundings: LimitsSurroundings, former?: Limits) {
    const { limits, tiers, routes } = config;
    const { store, workers } = surroundings;
    this.#settings = limits;
    this.#tiers = tiers;
    this.#lasting = former ? former.#lasting : lastingOf(surroundings);
    const known: Tables = former ? former.#tables : new Map<string, never>();
    const share = store ? 1 : 1 / workers;
    const list = (scope: string, of: readonly LimitSettings[], usualPayer: PaidBy, ofShare = share) =>
      of.map((settings) => this.#limit({ scope, settings, usualPayer, share: ofShare, ...limits }, known));
    // The door of the address does not wait for a store.
    const perIp = list('ip', limits.perIp, 'ip', 1 / workers);
    this.#global = list('global', limits.global, 'everybody');
    for (const [name, tier] of Object.entries(tiers))
      this.#ofTier.set(name, list(`tier.${name}`, tier.limits, 'consumer'));
    for (const { name, limits: own = [] } of routes)
      if (own.length > 0) this.#ofRoute.set(name, list(`route.${name}`, own, 'consumer'));
    this.#perIp = this.#setOf(perIp, undefined);
  }

  /**
   * Counts a request of an address, before anything else is known of it.
   * @throws {WeirError} `RATE_LIMITED`
   */
  enter(context: RequestContext): void {
    const set = this.#perIp;
    if (set.limits.length === 0) return;
    const charge = chargeOf(set, context, 0, 'local-share');
    this.#lasting.memory.charge(charge);
    this.#count(set, charge, context);
    if (!charge.admitted) {
      writeHeaders(context, charge, set.policy);
      throw overLimit(charge, undefined);
    }
    if (set.limits.some(({ unit }) => unit === 'concurrent')) context.reservation = new Booking(charge, 0, undefined);
  }

  /**
   * Charges a request or an operation what it may cost, before its work begins. A promise only where a store is asked or the
   * request is delayed.
   * @param cost thousandths of a call
   * @throws {WeirError} `RATE_LIMITED`, `COST_EXCEEDS_QUOTA`, `LIMITS_UNAVAILABLE`
   */
  charge(context: RequestContext, cost: number): void | Promise<void> {
    const set = this.#setFor(context);
    if (set.limits.length === 0) return undefined;
    for (const limit of set.limits) {
      if (!limit.shadow && limit.unit === 'cost' && cost > limit.whole.capacity)
        throw beyondQuota(cost, limit, set.tier);
    }
    const charge = chargeOf(set, context, cost, this.#settings.onStoreFailure);
    const asked = this.#lasting.store.charge(charge);
    return asked
      ? asked.then(() => this.#decided(set, charge, context, cost))
      : this.#decided(set, charge, context, cost);
  }

  /**
   * What is left to whoever asks, of all that clients are told of and that is not about what is under way. It counts as
   * nothing. A promise only where a store is asked.
   * @throws {WeirError} `LIMITS_UNAVAILABLE`
   */
  look(context: RequestContext): readonly Standing[] | Promise<readonly Standing[]> {
    const limits = this.#setFor(context).limits.filter(({ visible, unit }) => visible && unit !== 'concurrent');
    if (limits.length === 0) return [];
    const payers = limits.map((limit) => limit.payer(context));
    const nothing = limits.map(() => 0);
    const charge = new Charge(limits, payers, nothing, this.#settings.onStoreFailure);
    const asked = this.#lasting.store.charge(charge);
    return asked ? asked.then(() => standings(charge)) : standings(charge);
  }

  /** Names of all limits. */
  get names(): ReadonlySet<string> {
    return new Set(this.#all.map(({ name }) => name));
  }

  /** Makes limits so many times as large, by name, and all others what is written; a reload keeps it. */
  scale(scales: ReadonlyMap<string, number>): void {
    this.#lasting.scales.clear();
    for (const [name, factor] of scales) this.#lasting.scales.set(name, factor);
    for (const limit of this.#all) limit.scale(scales.get(limit.name) ?? 1);
  }

  /** How the store is that instances share; undefined where each counts for itself. */
  get shared(): SharedLimits | undefined {
    const { guarded } = this.#lasting;
    return (
      guarded && { counted: guarded.shared ? 'redis' : this.#settings.onStoreFailure, instances: guarded.instances }
    );
  }

  start(): void {
    this.#lasting.guarded?.start();
  }

  /** Settles what is still to be settled, and says what has been noticed. */
  async stop(): Promise<void> {
    await this.#lasting.guarded?.stop();
    this.flush();
  }

  /** Says what has been noticed. */
  flush(): void {
    this.#lasting.notices.flush();
  }

  #decided(set: LimitSet, charge: Charge, context: RequestContext, cost: number): void | Promise<void> {
    writeHeaders(context, charge, set.policy);
    const warnings = this.#count(set, charge, context);
    if (!charge.admitted) throw overLimit(charge, set.tier);
    const booking = new Booking(charge, cost, context.reservation);
    context.reservation = booking;
    // Who has left meanwhile has been settled already.
    if (context.cancellation.cancelled) booking.settle(0);
    if (warnings) {
      booking.warnings = warnings;
      if (!context.reply.started) context.reply.headers['x-weir-limit-warning'] = warnings.join(', ');
    }
    return this.#settings.throttleAt < 1 ? this.#delay(set, charge, context) : undefined;
  }

  /** @returns the names of the limits of which much is used */
  #count({ limits, outcomes }: LimitSet, charge: Charge, context: RequestContext): string[] | undefined {
    let warnings: string[] | undefined;
    for (let index = 0; index < limits.length; index++) {
      const limit = limits[index]!;
      const outcome = outcomes[index]!;
      if (charge.waitMs[index]! > 0) {
        if (limit.shadow) {
          outcome.shadow.add(1);
          this.#lasting.notices.note('shadow', limit.name, context.identity.consumer);
        } else outcome.refused.add(1);
      } else if (charge.admitted) {
        outcome.admitted.add(1);
        if (!limit.warns(charge.room[index]!)) continue;
        outcome.warned.add(1);
        this.#lasting.notices.note('warned', limit.name, context.identity.consumer);
        if (limit.visible) (warnings ??= []).push(limit.name);
      }
    }
    return warnings;
  }

  /** Holds a request up for as long as the pressure says, so that it need not be refused a little later. */
  #delay({ limits, outcomes }: LimitSet, charge: Charge, context: RequestContext): void | Promise<void> {
    let pressure = 0;
    for (let index = 0; index < limits.length; index++) {
      const limit = limits[index]!;
      if (!charge.counted(index) || limit.shadow) continue;
      const own = limit.pressure(charge.room[index]!);
      if (own > 0) outcomes[index]!.delayed.add(1);
      pressure = Math.max(pressure, own);
    }
    const delayMs = Math.ceil(pressure * this.#settings.maxDelay);
    if (delayMs === 0 || delayed >= maxDelayed) return undefined;
    delayed++;
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        context.cancellation.off(link);
        delayed--;
        resolve();
      };
      const timer = setTimeout(done, delayMs);
      const link = context.cancellation.on(done);
    });
  }

  #setFor(context: RequestContext): LimitSet {
    const { tier } = context.identity;
    const route = context.route?.name ?? '';
    // A tier that is not configured is like any other such.
    const tierName = this.#ofTier.has(tier) ? tier : '';
    const routeName = this.#ofRoute.has(route) ? route : '';
    let sets = this.#sets.get(tierName);
    if (!sets) this.#sets.set(tierName, (sets = new Map<string, LimitSet>()));
    let set = sets.get(routeName);
    if (!set) {
      const limits = [...(this.#ofRoute.get(routeName) ?? []), ...(this.#ofTier.get(tierName) ?? []), ...this.#global];
      sets.set(routeName, (set = this.#setOf(limits, this.#tiers[tierName])));
    }
    return set;
  }

  #setOf(limits: readonly Limit[], tier: TierSettings | undefined): LimitSet {
    const policy = limits.flatMap((limit) => (limit.visible ? [limit.policy] : [])).join(', ');
    return { limits, outcomes: limits.map((limit) => this.#outcomes.get(limit)!), tier, policy };
  }

  #limit(place: LimitPlace, known: Tables): Limit {
    const limit = new Limit(place, known, this.#tables);
    this.#outcomes.set(limit, this.#lasting.outcomes(limit.name));
    limit.scale(this.#lasting.scales.get(limit.name) ?? 1);
    this.#all.push(limit);
    return limit;
  }
}

function lastingOf({ clock, log, meter, store, workers }: LimitsSurroundings): Lasting {
  const memory = new MemoryStore(clock);
  const guarded = store && new GuardedStore(store, clock, log, meter, workers);
  const outcomes = limitOutcomes(meter);
  const scales = new Map<string, number>();
  return { memory, store: guarded ?? memory, guarded, outcomes, notices: new Notices(log), scales };
}

function chargeOf(
  { limits }: LimitSet,
  context: RequestContext,
  cost: number,
  onStoreFailure: LimitsSettings['onStoreFailure'],
): Charge {
  const payers: string[] = [];
  const amounts: number[] = [];
  for (const limit of limits) {
    payers.push(limit.payer(context));
    amounts.push(limit.amountOf(cost));
  }
  return new Charge(limits, payers, amounts, onStoreFailure);
}
