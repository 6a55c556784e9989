import type { OperationFacts } from '#core/context.ts';
import { perCall } from '#core/price.ts';
import type { Rule } from './counters/counter.ts';
import { slices } from './counters/sliding-window.ts';
import { Table } from './counters/table.ts';
import { payers, type PaidBy, type PayerOf } from './payer.ts';
import {
  dynamicOf,
  ratioOf,
  type DynamicSettings,
  type LimitSettings,
  type OperationLimitSettings,
} from './settings.ts';

/** Counters of one limit in the memory of one process. */
const maxCounters = 50_000;

/** Tables of counters by the limit they are of: they outlive a configuration. */
export type Tables = Map<string, Table>;

export interface LimitPlace {
  /** Where it is written, for its counters: `tier.pro`. */
  readonly scope: string;
  readonly settings: LimitSettings & Pick<OperationLimitSettings, 'fields' | 'operations'>;
  readonly usualPayer: PaidBy;
  /** Of the quota, what this process enforces. */
  readonly share: number;
  readonly warnAt: number;
  readonly throttleAt: number;
}

/** One limit of one configuration. */
export class Limit {
  readonly name: string;
  /** How its item of `RateLimit` begins. */
  readonly itemStart: string;
  /** Where it is written, with its name, for people: `tier.pro.minute`. */
  readonly path: string;
  /** What its counters are found by, in every store and over reloads; another way of counting begins anew. */
  readonly id: string;
  readonly unit: LimitSettings['unit'];
  readonly shadow: boolean;
  /** Clients are told of it. */
  readonly visible: boolean;
  readonly payer: PayerOf;
  /** Clients name the payer as they like, so that one client may be any number of them. */
  readonly chosen: boolean;
  readonly table: Table;
  /** Of operations, those that it is for; undefined for all that it stands with. */
  readonly #fields: readonly string[] | undefined;
  readonly #operations: readonly string[] | undefined;
  /** When it becomes smaller by itself; undefined for one that does not. */
  readonly dynamic: DynamicSettings | undefined;
  /** As it is written, whatever is made of it for a while. */
  readonly whole: Rule;
  readonly #settings: LimitSettings;
  readonly #warnAt: number;
  readonly #throttleAt: number;
  readonly #share: number;
  readonly #shares = new Map<number, Rule>();
  /** By an operator. */
  #scale = 1;
  /** Because of how upstreams do. */
  #adapted = 1;
  #rule: Rule;
  #text = '';
  #policy = '';

  constructor(place: LimitPlace, former: Tables, tables: Tables) {
    const { scope, settings, usualPayer, share, warnAt, throttleAt } = place;
    const { name, algorithm = 'concurrent', window = 0, unit, by = usualPayer, shadow, hideHeaders } = settings;
    this.name = name;
    this.itemStart = `"${name}";r=`;
    this.path = `${scope}.${name}`;
    this.dynamic = dynamicOf(settings);
    this.id = `${this.path}:${algorithm}:${unit}:${by}:${window}`;
    this.unit = unit;
    this.shadow = shadow;
    this.visible = !shadow && !hideHeaders;
    this.payer = payers[by];
    this.chosen = by === 'operation' || by === 'tenant';
    this.#fields = settings.fields;
    this.#operations = settings.operations;
    this.#settings = settings;
    this.#warnAt = warnAt;
    this.#throttleAt = throttleAt;
    this.#share = share;
    this.whole = ruleOf(settings, share);
    this.#rule = this.whole;
    this.table = former.get(this.id) ?? new Table(maxCounters);
    tables.set(this.id, this.table);
    this.#describe();
  }

  /** What is enforced now. */
  get rule(): Rule {
    return this.#rule;
  }

  /** The whole of it, of which this process may have a share. */
  get capacity(): number {
    return Math.max(1, Math.floor((this.#settings.burst ?? this.#settings.quota) * this.factor));
  }

  /** How many times what is written it is. */
  get factor(): number {
    return this.#scale * this.#adapted;
  }

  /** For people, as it is now: `600 upstream calls in 60s`. */
  get text(): string {
    return this.#text;
  }

  /** A member of `RateLimit-Policy`, as it is now. */
  get policy(): string {
    return this.#policy;
  }

  /** An operator makes it so many times as large, or small, from now on. @returns whether it changes */
  scale(factor: number): boolean {
    if (factor === this.#scale) return false;
    this.#scale = factor;
    return this.#resize();
  }

  /** The same because of how upstreams do, on top of what an operator says. */
  adapt(factor: number): boolean {
    if (factor === this.#adapted) return false;
    this.#adapted = factor;
    return this.#resize();
  }

  #resize(): true {
    this.#rule = this.factor === 1 ? this.whole : ruleOf(this.#settings, this.#share * this.factor);
    this.#shares.clear();
    this.#describe();
    return true;
  }

  #describe(): void {
    const { quota, burst } = this.#settings;
    const sized = (amount: number) => Math.max(1, Math.floor(amount * this.factor));
    const now = { ...this.#settings, quota: sized(quota), burst: burst === undefined ? undefined : sized(burst) };
    this.#text = textOf(now);
    this.#policy = policyOf(now);
  }

  /** Whether it counts for an operation. */
  isFor({ name, selected }: OperationFacts): boolean {
    if (this.#fields) return selected !== undefined && this.#fields.some((field) => selected.has(field));
    return this.#operations === undefined || (name !== undefined && this.#operations.includes(name));
  }

  /** What a request takes of it. @param cost in thousandths of a call */
  amountOf(cost: number, operation?: OperationFacts): number {
    if (this.unit === 'cost') return cost;
    if (this.unit !== 'requests' || !this.#fields) return perCall;
    // Each time that a field is selected is one: an alias is no way around it.
    return perCall * this.#fields.reduce((times, field) => times + (operation?.selected?.get(field) ?? 0), 0);
  }

  /** The same for one of so many instances that cannot count together. */
  shareOf(instances: number): Rule {
    let rule = this.#shares.get(instances);
    if (!rule) {
      // Instances come and go; the few numbers there are at a time are all that is worth keeping.
      if (this.#shares.size > 16) this.#shares.clear();
      this.#shares.set(instances, (rule = ruleOf(this.#settings, (this.#share * this.factor) / instances)));
    }
    return rule;
  }

  /** So much is used that the client is to hear of it. */
  warns(room: number): boolean {
    return this.#warnAt < 1 && room <= this.rule.capacity * (1 - this.#warnAt);
  }

  /** 0 to 1: how far between where delays begin and the whole quota. */
  pressure(room: number): number {
    const from = this.rule.capacity * (1 - this.#throttleAt);
    return room >= from ? 0 : Math.min(1, (from - room) / from);
  }
}

function ruleOf({ algorithm: written, quota, burst = quota, window = 1 }: LimitSettings, share: number): Rule {
  const algorithm = written ?? 'concurrent';
  const capacity = Math.max(1, Math.floor((algorithm === 'token-bucket' ? burst : quota) * share));
  return {
    algorithm,
    capacity,
    windowMs: window,
    sliceMs: Math.ceil(window / slices),
    ...dripOf(quota, window, share),
  };
}

/** A share drips in the steps of the whole where it would not be exact otherwise. */
function dripOf(quota: number, windowMs: number, share: number): Pick<Rule, 'drip' | 'per'> {
  const part = ratioOf(Math.max(1, Math.floor(quota * share)), windowMs);
  const whole = ratioOf(quota, windowMs);
  const coarse = Math.floor(whole.drip * share);
  return part.per > 10_000 && coarse >= 10 ? { drip: coarse, per: whole.per } : part;
}

const units = { cost: 'upstream calls', requests: 'requests', concurrent: 'requests at once' } as const;

function textOf({ quota, unit, window, burst }: LimitSettings): string {
  const time = window === undefined ? '' : ` in ${window / 1_000}s`;
  const atOnce = burst === undefined ? '' : `, ${burst / perCall} at once`;
  return `${quota / perCall} ${units[unit]}${time}${atOnce}`;
}

/** Registered units of draft-ietf-httpapi-ratelimit-headers-10 §8.2, and one of our own. */
const policyUnits = { cost: 'upstream-calls', requests: 'requests', concurrent: 'concurrent-requests' } as const;

/** draft-ietf-httpapi-ratelimit-headers-10 §3: what may be used in which time. A bucket is told as what it holds, and fills in. */
function policyOf({ name, quota, burst = quota, window, unit }: LimitSettings): string {
  const time = window === undefined ? '' : `;w=${Math.max(1, Math.ceil(((burst / quota) * window) / 1_000))}`;
  return `"${name}";q=${Math.floor(burst / perCall)}${time};qu="${policyUnits[unit]}"`;
}
