import type { Allowance, Reservation, Standing } from '#core/reservation.ts';
import type { Charge } from './charge.ts';
import { standings, tightest } from './answers.ts';

const noWarnings: readonly string[] = [];

/** A charge that was admitted, until it is settled. */
export class Booking implements Reservation {
  readonly estimated: number;
  readonly cachedCost: number;
  warnings: readonly string[] = noWarnings;
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
    this.#change(owed, false);
  }

  settle(actual: number): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#before?.settle(actual);
    this.#change(this.#paid - actual, true);
  }

  /** @param back thousandths; below zero what is owed */
  #change(back: number, over: boolean): void {
    const charge = this.#charge;
    const { limits, amounts, store } = charge;
    let changes: number[] | undefined;
    for (let index = 0; index < limits.length; index++) {
      const { unit } = limits[index]!;
      const change = unit === 'cost' ? back : unit === 'concurrent' && over ? amounts[index]! : 0;
      if (change !== 0 && charge.counted(index)) (changes ??= limits.map(none))[index] = change;
    }
    if (changes) store!.settle(charge, changes);
  }
}

function none(): number {
  return 0;
}
