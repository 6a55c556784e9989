import type { OperationFacts, RequestContext } from '#core/context.ts';
import type { Limit } from './limit.ts';
import type { LimitOutcomes } from './limit-metrics.ts';
import type { TierSettings } from './settings.ts';

/** All limits of one kind of request, which are decided together. */
export interface LimitSet {
  readonly limits: readonly Limit[];
  readonly outcomes: readonly LimitOutcomes[];
  readonly tier: TierSettings | undefined;
  /** `RateLimit-Policy`; empty where clients are told nothing. */
  readonly policy: string;
}

/** The limits of a configuration, by where they are written. */
export interface PlacedLimits {
  readonly perIp: readonly Limit[];
  readonly global: readonly Limit[];
  readonly ofOperations: readonly Limit[];
  readonly ofTier: ReadonlyMap<string, readonly Limit[]>;
  readonly ofRoute: ReadonlyMap<string, readonly Limit[]>;
}

/** Clients choose what their operations select together. */
const maxSetsOfOperations = 1_000;

const none: readonly Limit[] = [];

/** Says which limits count for a request. What is told of them is made once, and anew when one becomes larger or smaller. */
export class LimitSets {
  readonly #placed: PlacedLimits;
  readonly #tiers: Readonly<Record<string, TierSettings>>;
  readonly #outcomes: ReadonlyMap<Limit, LimitOutcomes>;
  /** By tier and route, made when they are first met: as many as the configuration has. */
  readonly #byTier = new Map<string, Map<string, LimitSet>>();
  /** By tier, and by which of the limits of operations count. */
  readonly #ofOperations = new Map<string, LimitSet>();
  #perIp: LimitSet;

  constructor(
    placed: PlacedLimits,
    tiers: Readonly<Record<string, TierSettings>>,
    outcomes: ReadonlyMap<Limit, LimitOutcomes>,
  ) {
    this.#placed = placed;
    this.#tiers = tiers;
    this.#outcomes = outcomes;
    this.#perIp = this.#setOf(placed.perIp, undefined);
  }

  /** Of an address, whatever it asks for. */
  get perIp(): LimitSet {
    return this.#perIp;
  }

  of({ identity: { tier }, route, operation }: RequestContext): LimitSet {
    const { ofTier, ofRoute, ofOperations } = this.#placed;
    // A tier that is not configured is like any other such.
    const tierName = ofTier.has(tier) ? tier : '';
    if (operation && ofOperations.length > 0) return this.#ofOperation(operation, tierName);
    const routeName = route && ofRoute.has(route.name) ? route.name : '';
    let sets = this.#byTier.get(tierName);
    if (!sets) this.#byTier.set(tierName, (sets = new Map<string, LimitSet>()));
    let set = sets.get(routeName);
    if (!set) sets.set(routeName, (set = this.#join(ofRoute.get(routeName) ?? none, tierName)));
    return set;
  }

  /** One of them has become larger or smaller. */
  resized(): void {
    this.#byTier.clear();
    this.#ofOperations.clear();
    this.#perIp = this.#setOf(this.#placed.perIp, undefined);
  }

  #ofOperation(operation: OperationFacts, tierName: string): LimitSet {
    const { ofOperations } = this.#placed;
    let key = tierName;
    for (let index = 0; index < ofOperations.length; index++)
      key += ofOperations[index]!.isFor(operation) ? '\n1' : '\n0';
    let set = this.#ofOperations.get(key);
    if (!set) {
      if (this.#ofOperations.size >= maxSetsOfOperations) this.#ofOperations.clear();
      const own = ofOperations.filter((limit) => limit.isFor(operation));
      this.#ofOperations.set(key, (set = this.#join(own, tierName)));
    }
    return set;
  }

  #join(own: readonly Limit[], tierName: string): LimitSet {
    const { ofTier, global } = this.#placed;
    return this.#setOf([...own, ...(ofTier.get(tierName) ?? none), ...global], this.#tiers[tierName]);
  }

  #setOf(limits: readonly Limit[], tier: TierSettings | undefined): LimitSet {
    return { limits, outcomes: limits.map((limit) => this.#outcomes.get(limit)!), tier, policy: policyOf(limits) };
  }
}

/** `RateLimit-Policy` of those that clients are told of. */
export function policyOf(limits: readonly Limit[]): string {
  return limits.flatMap((limit) => (limit.visible ? [limit.policy] : [])).join(', ');
}
