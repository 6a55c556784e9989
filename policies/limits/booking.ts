import type { Allowance, Reservation, Standing } from '#core/reservation.ts';
import type { Charge } from './charge.ts';
import { standings, tightest } from './answers.ts';

const none: readonly string[] = [];

/** A charge that was admitted, until it is settled. */
export class Booking implements Reservation {
  readonly estimated: number;
  readonly cachedCost: number;
  warnings: readonly string[] = none;
  readonly #charge: Charge;
  /** What was charged at the door of the address, and ends with the same request. */
  readonly #before: Reservation | undefined;
  #paid: number;
  #settled = false;

  constructor(charge: Charge, cost: number, cachedCost: number, before: Reservation | undefined) {
    this.cachedCost = cachedCost;
    this.#charge = charge;
    this.#before = before;
    this.estimated = cost;
    this.#paid = cost;
  }

  allowance(actual: number): Allowance | undefined {
    return tightest(this.#charge, this.#paid - actual);
  }

  standings(actual: number): readonly Standing[] {
    return standings(this.#charge, this.#paid - actual);
  }

  progress(actual: number): void {
    if (this.#settled || actual <= this.#paid) return;
    const owed = this.#paid - actual;
    this.#paid = actual;
    this.#change((unit) => (unit === 'cost' ? owed : 0));
  }

  settle(actual: number): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#before?.settle(actual);
    const back = this.#paid - actual;
    this.#change((unit, amount) => (unit === 'cost' ? back : unit === 'concurrent' ? amount : 0));
  }

  #change(of: (unit: string, amount: number) => number): void {
    const charge = this.#charge;
    const { limits, amounts, store } = charge;
    const changes = limits.map(({ unit }, index) => (charge.counted(index) ? of(unit, amounts[index]!) : 0));
    if (changes.some((change) => change !== 0)) store!.settle(charge, changes);
  }
}
