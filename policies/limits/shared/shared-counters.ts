import { randomBytes } from 'node:crypto';
import type { Clock } from '#core/clock.ts';
import { StoreUnavailable, type SharedStore, type StoreArgument } from '#core/shared-store.ts';
import type { Charge, LimitStore } from '../charge.ts';
import type { Rule } from '../counters/counter.ts';
import { Names } from './names.ts';
import { chargeScript, leaseMs, renewScript, settleScript } from './scripts.ts';

/** One tenant today; it stands in every key, so that there can be others. */
const tenant = '-';

/** By how much the server's clock may gain on ours between two beats, beyond what is measured. */
const driftMs = 1;

const renewEveryMs = leaseMs / 3;

/** Numbers in the script's answer: before those of the limits, and of each limit: room, wait, next, rest. */
const answerHead = 2;
const answerSize = 4;

/** Places of one slot of a cluster in a charge; all places where there are no slots. */
type Group = readonly number[];

/** Counts in Redis, for all instances together: one round trip for all limits of a request, on a cluster one to each slot. */
export class SharedCounters implements LimitStore {
  readonly #store: SharedStore;
  readonly #clock: Clock;
  /** How long whoever asks waits for an answer. */
  readonly #timeoutMs: number;
  readonly #name = randomBytes(6).toString('base64url');
  #charges = 0;
  /** By how much the server's clock is ahead of our monotonic one, at the most. Undefined until it was heard. */
  #aheadMs: number | undefined;
  #settling = 0;
  /** Who waits until nothing is being settled. */
  #waiting: (() => void)[] = [];
  /** What is under way of limits that count that: charges by key. */
  readonly #leases = new Map<string, Set<string>>();
  /** By the limit that they are of: as many as have ever been configured. */
  readonly #names = new Map<string, Names>();
  #renewing: NodeJS.Timeout | undefined;
  /** All places of a charge in one group, by how many there are. */
  readonly #wholes: Group[][] = [];
  /** A settlement that was not heard of. */
  readonly #lost: () => void;

  constructor(store: SharedStore, clock: Clock, timeoutMs: number, lost: () => void) {
    this.#store = store;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#lost = lost;
  }

  /** @throws {StoreUnavailable | Error} when nobody can say, or the answer came too late to count */
  charge(charge: Charge): Promise<void> {
    const id = `${this.#name}.${++this.#charges}`;
    charge.tags = this.#tagsOf(charge);
    const groups = this.#groupsOf(charge);
    return groups.length === 1 ? this.#chargeOne(charge, id, groups[0]!) : this.#chargeEach(charge, id, groups);
  }

  async #chargeOne(charge: Charge, id: string, group: Group): Promise<void> {
    const answer = await this.#ask(charge, group, id);
    this.#decided(charge, id, answer[0] === 1);
    fillIn(charge, group, answer);
    if (charge.admitted) this.#hold(charge);
  }

  async #chargeEach(charge: Charge, id: string, groups: readonly Group[]): Promise<void> {
    const answers = await Promise.allSettled(groups.map((group) => this.#ask(charge, group, id)));
    const failed = answers.find(({ status }) => status === 'rejected');
    const decided = answers.map((answer) => (answer.status === 'fulfilled' ? answer.value : undefined));
    const admitted = !failed && decided.every((answer) => answer![0] === 1);
    if (!admitted) this.#release(charge, id, groups, decided);
    if (failed) throw (failed as PromiseRejectedResult).reason;
    this.#decided(charge, id, admitted);
    for (const [index, group] of groups.entries()) fillIn(charge, group, decided[index]!);
    if (admitted) this.#hold(charge);
  }

  #decided(charge: Charge, id: string, admitted: boolean): void {
    charge.id = id;
    charge.store = this;
    charge.admitted = admitted;
  }

  settle(charge: Charge, changes: readonly number[]): void {
    for (const group of this.#groupsOf(charge)) {
      const changed = group.filter((of) => changes[of] !== 0);
      if (changed.length > 0) this.#settle(charge, charge.id, changed, (of) => changes[of]!, charge.at[changed[0]!]!);
    }
  }

  /** Hears what the time is there, in an answer to what was asked at this moment of ours. */
  hear(serverMs: number, askedMs: number): void {
    const seen = serverMs - askedMs;
    this.#aheadMs = this.#aheadMs === undefined ? seen : Math.min(seen, this.#aheadMs + driftMs);
  }

  /** Waits for what is being settled. */
  async stop(): Promise<void> {
    clearInterval(this.#renewing);
    if (this.#settling > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  async #ask(charge: Charge, group: Group, id: string): Promise<number[]> {
    if (this.#aheadMs === undefined) throw new StoreUnavailable("the store's clock is not known yet");
    const askedMs = this.#clock.monotonicMs();
    const args: StoreArgument[] = [id, Math.ceil(askedMs + this.#timeoutMs + this.#aheadMs)];
    for (const of of group) {
      const limit = charge.limits[of]!;
      args.push(...ruleArguments(limit.rule), charge.amounts[of]!, limit.shadow ? 1 : 0);
    }
    const answer = (await this.#store.run(chargeScript, this.#keys(charge, group), args)) as number[];
    const [code, serverMs] = answer as [number, number];
    if (code !== 2) {
      if (serverMs - askedMs < this.#aheadMs) this.#aheadMs = serverMs - askedMs;
      return answer;
    }
    // It heard us in time, so its clock was set forward, or is another server's.
    this.#aheadMs = serverMs - askedMs;
    throw new StoreUnavailable('the charge came too late');
  }

  /** On a cluster some slots may have admitted what another refused: they get it back. */
  #release(charge: Charge, id: string, groups: readonly Group[], answers: readonly (number[] | undefined)[]): void {
    for (const [index, group] of groups.entries()) {
      const answer = answers[index];
      if (answer?.[0] !== 1) continue;
      const taken = group.filter((_, place) => answer[answerHead + answerSize * place + 1] === 0);
      if (taken.length > 0) this.#settle(charge, id, taken, (of) => charge.amounts[of]!, answer[1]!);
    }
  }

  #settle(charge: Charge, id: string, group: Group, changeOf: (of: number) => number, at: number): void {
    const args: StoreArgument[] = [id];
    for (const of of group) {
      const { rule } = charge.limits[of]!;
      args.push(...ruleArguments(rule), changeOf(of), charge.amounts[of]!, at);
      if (rule.algorithm === 'concurrent') this.#letGo(this.#keyOf(charge, of), id);
    }
    this.#settling++;
    this.#store
      .run(settleScript, this.#keys(charge, group), args)
      .catch(this.#lost)
      .then(this.#settled)
      .catch(() => {});
  }

  readonly #settled = (): void => {
    if (--this.#settling > 0) return;
    for (const resolve of this.#waiting.splice(0)) resolve();
  };

  /** Of names that clients choose the store is to have a bounded number. */
  #tagsOf({ payers, limits }: Charge): readonly string[] {
    if (!limits.some(({ chosen }) => chosen)) return payers;
    const now = this.#clock.monotonicMs();
    return payers.map((payer, index) => {
      const { chosen, id, rule } = limits[index]!;
      if (!chosen) return payer;
      let names = this.#names.get(id);
      if (!names) this.#names.set(id, (names = new Names()));
      return names.of(payer, rule.windowMs, now);
    });
  }

  #groupsOf({ tags, limits }: Charge): Group[] {
    if (!this.#store.clustered) return (this.#wholes[limits.length] ??= [limits.map((_, index) => index)]);
    const groups = new Map<string, number[]>();
    for (const [index, tag] of tags.entries()) {
      const group = groups.get(tag);
      if (group) group.push(index);
      else groups.set(tag, [index]);
    }
    return [...groups.values()];
  }

  #keys(charge: Charge, group: Group): string[] {
    return group.map((of) => this.#keyOf(charge, of));
  }

  /** The payer is the hash tag: all that one consumer pays is in one slot. */
  #keyOf({ limits, tags }: Charge, of: number): string {
    return `${this.#store.prefix}${tenant}:limit:{${encodeURIComponent(tags[of]!)}}:${limits[of]!.id}`;
  }

  #hold(charge: Charge): void {
    for (const [of, { rule }] of charge.limits.entries()) {
      if (rule.algorithm !== 'concurrent' || !charge.counted(of)) continue;
      const key = this.#keyOf(charge, of);
      const held = this.#leases.get(key);
      if (held) held.add(charge.id);
      else this.#leases.set(key, new Set([charge.id]));
      this.#renewing ??= setInterval(() => this.#renew(), renewEveryMs).unref();
    }
  }

  #letGo(key: string, id: string): void {
    const held = this.#leases.get(key);
    if (held?.delete(id) === true && held.size === 0) this.#leases.delete(key);
  }

  #renew(): void {
    for (const [key, ids] of this.#leases) this.#store.run(renewScript, [key], [...ids]).catch(() => {});
  }
}

const written = new WeakMap<Rule, readonly string[]>();

/** A rule is written down once: numbers are made into text for each command. */
function ruleArguments(rule: Rule): readonly string[] {
  let text = written.get(rule);
  if (!text) {
    const { algorithm, capacity, windowMs, drip, per, sliceMs } = rule;
    written.set(rule, (text = [algorithm, ...[capacity, windowMs, drip, per, sliceMs].map(String)]));
  }
  return text;
}

/** Takes over what the script says of each limit: what is left, how long to wait, until more comes back, until it is whole. */
function fillIn(charge: Charge, group: Group, answer: readonly number[]): void {
  let at = answerHead;
  for (const of of group) {
    const waitMs = answer[at + 1]!;
    charge.at[of] = answer[1]!;
    charge.room[of] = answer[at]!;
    charge.waitMs[of] = waitMs < 0 ? Number.POSITIVE_INFINITY : waitMs;
    charge.nextMs[of] = answer[at + 2]!;
    charge.restMs[of] = answer[at + 3]!;
    at += answerSize;
  }
}
