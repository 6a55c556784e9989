import type { Clock } from '#core/clock.ts';
import type { RequestContext } from '#core/context.ts';
import type { WeirError } from '#core/errors.ts';
import type { Logger } from '#core/log.ts';
import type { Meter } from '#core/meter.ts';
import type { SharedStore } from '#core/shared-store.ts';
import type { Standing } from '#core/reservation.ts';
import { beyondQuota, overLimit, standings } from './answers.ts';
import { Booking } from './booking.ts';
import { Charge, type LimitStore } from './charge.ts';
import { LimitSets, policyOf, type LimitSet } from './limit-sets.ts';
import { DynamicLimits, type ScaledLimit, type WatchedUpstream } from './dynamic-limits.ts';
import { Limit, type LimitPlace, type Tables } from './limit.ts';
import { limitOutcomes, type LimitOutcomes } from './limit-metrics.ts';
import { MemoryStore } from './memory-store.ts';
import { Notices } from './notices.ts';
import type { PaidBy } from './payer.ts';
import { GuardedStore } from './shared/guarded-store.ts';
import type { LimitSettings, LimitsSettings, OperationLimitSettings, TierSettings } from './settings.ts';

export interface LimitsConfig {
  readonly limits: LimitsSettings;
  readonly tiers: Readonly<Record<string, TierSettings>>;
  /** Those of the table, by name. */
  readonly routes: readonly { readonly name: string; readonly limits?: readonly LimitSettings[] | undefined }[];
  readonly graphql: { readonly limits: readonly OperationLimitSettings[] };
}

export interface LimitsSurroundings {
  readonly clock: Clock;
  readonly log: Logger;
  readonly meter: Meter;
  readonly store: SharedStore | undefined;
  /** Processes that are one gateway: without a store each enforces its share. */
  readonly workers: number;
  /** Those whose failing makes limits smaller. */
  readonly upstreams: readonly WatchedUpstream[];
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
  readonly dynamic: DynamicLimits;
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
  readonly #lasting: Lasting;
  readonly #all: Limit[] = [];
  readonly #tables: Tables = new Map<string, never>();
  readonly #outcomes = new Map<Limit, LimitOutcomes>();
  readonly #upstreams: readonly WatchedUpstream[];
  readonly #sets: LimitSets;

  /** @param former what served before a reload: what it has counted goes on */
  constructor(config: LimitsConfig, surroundings: LimitsSurroundings, former?: Limits) {
    const { limits, tiers, routes, graphql } = config;
    const { store, workers, upstreams } = surroundings;
    this.#settings = limits;
    this.#upstreams = upstreams;
    this.#lasting = former ? former.#lasting : lastingOf(surroundings);
    const known: Tables = former ? former.#tables : new Map<string, never>();
    const share = store ? 1 : 1 / workers;
    const list = (scope: string, of: readonly LimitPlace['settings'][], usualPayer: PaidBy, ofShare = share) =>
      of.map((settings) => this.#limit({ scope, settings, usualPayer, share: ofShare, ...limits }, known));
    const ofTier = new Map(
      Object.entries(tiers).map(([name, tier]) => [name, list(`tier.${name}`, tier.limits, 'consumer')]),
    );
    // A route that is served under two paths, as a default version is, is one: by either the same is used.
    const made = new Map<readonly LimitSettings[], readonly Limit[]>();
    const ofRoute = new Map<string, readonly Limit[]>();
    for (const { name, limits: own = [] } of routes) {
      if (own.length === 0) continue;
      const limitsOf = made.get(own) ?? list(`route.${name}`, own, 'consumer');
      made.set(own, limitsOf);
      ofRoute.set(name, limitsOf);
    }
    const placed = {
      // The door of the address does not wait for a store.
      perIp: list('ip', limits.perIp, 'ip', 1 / workers),
      global: list('global', limits.global, 'everybody'),
      ofOperations: list('graphql', graphql.limits, 'consumer'),
      ofTier,
      ofRoute,
    };
    this.#sets = new LimitSets(placed, tiers, this.#outcomes);
  }

  /**
   * Counts a request of an address, before anything else is known of it. Until it is known who asks, answers say what the
   * address has left.
   * @throws {WeirError} `RATE_LIMITED`
   */
  enter(context: RequestContext): void {
    const set = this.#sets.perIp;
    if (set.limits.length === 0) return;
    const charge = chargeOf(set, context, 0, 'local-share');
    this.#lasting.memory.charge(charge);
    this.#count(set, charge, context);
    context.atDoor = charge;
    if (!charge.admitted) throw this.#over(charge, undefined);
    if (set.limits.some(({ unit }) => unit === 'concurrent'))
      context.reservation = new Booking(charge, 0, 0, undefined);
  }

  /**
   * Charges a request or an operation what it may cost, before its work begins. A promise only where a store is asked or the
   * request is delayed.
   * @param cost thousandths of a call
   * @throws {WeirError} `RATE_LIMITED`, `COST_EXCEEDS_QUOTA`, `LIMITS_UNAVAILABLE`
   */
  charge(context: RequestContext, cost: number): void | Promise<void> {
    const set = this.#sets.of(context);
    if (set.limits.length === 0) {
      context.atDoor?.announce(context.reply);
      return undefined;
    }
    const charge = chargeOf(set, context, cost, this.#settings.onStoreFailure);
    for (let index = 0; index < set.limits.length; index++) {
      const limit = set.limits[index]!;
      const amount = charge.amounts[index]!;
      if (!limit.shadow && limit.unit !== 'concurrent' && amount > limit.whole.capacity)
        throw beyondQuota(amount, limit, set.tier);
    }
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
    const limits = this.#sets.of(context).limits.filter(({ visible, unit }) => visible && unit !== 'concurrent');
    if (limits.length === 0) {
      context.atDoor?.announce(context.reply);
      return [];
    }
    const charge = new Charge(limits, this.#settings.onStoreFailure, policyOf(limits));
    for (const [index, limit] of limits.entries()) {
      charge.payers[index] = limit.payer(context);
      charge.amounts[index] = 0;
    }
    const told = () => {
      // Where something was charged, the answer says that already.
      if (!context.allowanceTold) charge.announce(context.reply);
      context.allowanceTold = true;
      return standings(charge);
    };
    const asked = this.#lasting.store.charge(charge);
    return asked ? asked.then(told) : told();
  }

  /**
   * Says on the answer to a request that is not charged what its consumer has left, as on all others, or its address where it
   * is not known who asks. It counts as nothing. A promise, which never rejects, only where a store is asked.
   */
  tell(context: RequestContext): void | Promise<void> {
    if (context.allowanceTold || context.reply.started) return undefined;
    if (!context.identified) {
      context.atDoor?.announce(context.reply);
      return undefined;
    }
    try {
      const seen = this.look(context);
      return seen instanceof Promise ? seen.then(nothingMore, nothingMore) : undefined;
    } catch {
      // Nobody can say; the answer has its own worries.
      return undefined;
    }
  }

  /** Names of all limits. */
  get names(): ReadonlySet<string> {
    return new Set(this.#all.map(({ name }) => name));
  }

  /** Makes limits so many times as large, by name, and all others what is written; a reload keeps it. */
  scale(scales: ReadonlyMap<string, number>): void {
    this.#lasting.scales.clear();
    for (const [name, factor] of scales) this.#lasting.scales.set(name, factor);
    let changes = 0;
    for (const limit of this.#all) if (limit.scale(scales.get(limit.name) ?? 1)) changes++;
    if (changes > 0) this.#sets.resized();
  }

  /** Limits that are smaller than they are written, because of how upstreams do. */
  get scaled(): readonly ScaledLimit[] {
    return this.#lasting.dynamic.scaled;
  }

  /** How the store is that instances share; undefined where each counts for itself. */
  get shared(): SharedLimits | undefined {
    const { guarded } = this.#lasting;
    return (
      guarded && { counted: guarded.shared ? 'redis' : this.#settings.onStoreFailure, instances: guarded.instances }
    );
  }

  start(): void {
    const { guarded, dynamic } = this.#lasting;
    guarded?.start();
    dynamic.watch(this.#all, this.#upstreams, () => this.#sets.resized());
  }

  /** Settles what is still to be settled, and says what has been noticed. */
  async stop(): Promise<void> {
    this.#lasting.dynamic.stop();
    await this.#lasting.guarded?.stop();
    this.flush();
  }

  /** Says what has been noticed. */
  flush(): void {
    this.#lasting.notices.flush();
  }

  #decided(set: LimitSet, charge: Charge, context: RequestContext, cost: number): void | Promise<void> {
    if (set.policy === '') context.atDoor?.announce(context.reply);
    charge.announce(context.reply);
    context.allowanceTold = true;
    const warnings = this.#count(set, charge, context);
    if (!charge.admitted) throw this.#over(charge, set.tier);
    const booking = new Booking(charge, cost, this.#settings.cachedCost, context.reservation);
    context.reservation = booking;
    // Who has left meanwhile has been settled already.
    if (context.cancellation.cancelled) booking.settle(0);
    if (warnings) {
      booking.warnings = warnings;
      if (!context.reply.started) context.reply.headers['x-weir-limit-warning'] = warnings.join(', ');
    }
    return this.#settings.throttleAt < 1 ? this.#delay(set, charge, context) : undefined;
  }

  #over(charge: Charge, tier: TierSettings | undefined): WeirError {
    return overLimit(charge, tier, (limit) => this.#lasting.dynamic.remainingMs(limit));
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

  #limit(place: LimitPlace, known: Tables): Limit {
    const limit = new Limit(place, known, this.#tables);
    this.#outcomes.set(limit, this.#lasting.outcomes(limit.name));
    limit.scale(this.#lasting.scales.get(limit.name) ?? 1);
    this.#all.push(limit);
    return limit;
  }
}

function nothingMore(): void {}

function lastingOf({ clock, log, meter, store, workers }: LimitsSurroundings): Lasting {
  const memory = new MemoryStore(clock);
  const guarded = store && new GuardedStore(store, clock, log, meter, workers);
  const outcomes = limitOutcomes(meter);
  const scales = new Map<string, number>();
  const dynamic = new DynamicLimits(clock, log, meter, store);
  return { memory, store: guarded ?? memory, guarded, outcomes, notices: new Notices(log), scales, dynamic };
}

function chargeOf(
  { limits, policy }: LimitSet,
  context: RequestContext,
  cost: number,
  onStoreFailure: LimitsSettings['onStoreFailure'],
): Charge {
  const charge = new Charge(limits, onStoreFailure, policy);
  const { payers, amounts } = charge;
  for (let index = 0; index < limits.length; index++) {
    const limit = limits[index]!;
    // Most are paid by the same: a text that has been looked up is found faster the next time.
    const before = index > 0 && limits[index - 1]!.payer === limit.payer;
    payers[index] = before ? payers[index - 1]! : limit.payer(context);
    amounts[index] = limit.amountOf(cost, context.operation);
  }
  return charge;
}
