import { randomBytes } from 'node:crypto';
import type { Clock } from '#core/clock.ts';
import { StoreUnavailable, type SharedStore, type StoreArgument } from '#core/shared-store.ts';
import type { Charge, LimitStore } from '../charge.ts';
import type { Rule } from '../counters/counter.ts';
import { chargeScript, leaseMs, renewScript, settleScript } from './scripts.ts';

/** One tenant today; it stands in every key, so that there can be others. */
const tenant = '-';

/** By how much the server's clock may gain on ours between two beats, beyond what is measured. */
const driftMs = 1;

const renewEveryMs = leaseMs / 3;

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
  readonly #settling = new Set<Promise<unknown>>();
  /** What is under way of limits that count that: charges by key. */
  readonly #leases = new Map<string, Set<string>>();
  #renewing: NodeJS.Timeout | undefined;
  /** A settlement that was not heard of. */
  readonly #lost: () => void;

  constructor(store: SharedStore, clock: Clock, timeoutMs: number, lost: () => void) {
    this.#store = store;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#lost = lost;
  }

  /** @throws {StoreUnavailable | Error} when nobody can say, or the answer came too late to count */
  async charge(charge: Charge): Promise<void> {
    const id = `${this.#name}.${++this.#charges}`;
    const groups = this.#groupsOf(charge);
    const answers = await Promise.allSettled(groups.map((group) => this.#ask(charge, group, id)));
    const failed = answers.find(({ status }) => status === 'rejected');
    const decided = answers.map((answer) => (answer.status === 'fulfilled' ? answer.value : undefined));
    const admitted = !failed && decided.every((answer) => answer![0] === 1);
    if (!admitted) this.#release(charge, id, groups, decided);
    if (failed) throw (failed as PromiseRejectedResult).reason;
    charge.id = id;
    charge.store = this;
    charge.admitted = admitted;
    for (const [index, group] of groups.entries()) {
      const answer = decided[index]!;
      for (const [place, of] of group.entries()) {
        const [room, waitMs, restMs] = answer.slice(2 + 3 * place, 5 + 3 * place) as [number, number, number];
        charge.at[of] = answer[1]!;
        charge.room[of] = room;
        charge.waitMs[of] = waitMs < 0 ? Number.POSITIVE_INFINITY : waitMs;
        charge.restMs[of] = restMs;
      }
    }
    if (admitted) this.#hold(charge);
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
    await Promise.allSettled(this.#settling);
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
      const taken = group.filter((_, place) => answer[3 + 3 * place] === 0);
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
    const settling = this.#store.run(settleScript, this.#keys(charge, group), args).catch(this.#lost);
    this.#settling.add(settling);
    void settling.then(() => this.#settling.delete(settling));
  }

  #groupsOf({ payers, limits }: Charge): Group[] {
    if (!this.#store.clustered) return [limits.map((_, index) => index)];
    const groups = new Map<string, number[]>();
    for (const [index, payer] of payers.entries()) {
      const group = groups.get(payer);
      if (group) group.push(index);
      else groups.set(payer, [index]);
    }
    return [...groups.values()];
  }

  #keys(charge: Charge, group: Group): string[] {
    return group.map((of) => this.#keyOf(charge, of));
  }

  /** The payer is the hash tag: all that one consumer pays is in one slot. */
  #keyOf({ limits, payers }: Charge, of: number): string {
    return `${this.#store.prefix}${tenant}:limit:{${encodeURIComponent(payers[of]!)}}:${limits[of]!.id}`;
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

function ruleArguments({ algorithm, capacity, windowMs, drip, per, sliceMs }: Rule): StoreArgument[] {
  return [algorithm, capacity, windowMs, drip, per, sliceMs];
}
