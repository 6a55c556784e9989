import { spread, type Spread } from '../figures.ts';
import { again, baseline, type Measured, type SickRound } from './measure.ts';
import { budget, reserve } from './settings.ts';

/** Below this, differences are noise in any run (docs/benchmarks.md). */
const alwaysNoise = { perSecond: 0.03, p99Ms: 0.15 } as const;

type Figure = keyof typeof alwaysNoise;

/** A figure under a condition over that of the baseline, round by round. */
export function ratiosOf({ rounds }: Measured, condition: string, figure: Figure): Spread | undefined {
  const good = rounds.filter(({ failure }) => failure === undefined);
  return spread(
    good.flatMap((one) => {
      if (one.condition !== condition) return [];
      const other = good.find(({ condition: name, round }) => name === baseline.title && round === one.round);
      return other ? [one[figure] / other[figure]] : [];
    }),
  );
}

/** Whether the well one is no worse off than by what two measurements of the same differ in. */
export function withinNoise(measured: Measured, condition: string): boolean | undefined {
  const verdicts = (['perSecond', 'p99Ms'] as const).map((figure) => {
    const [ratio, noise] = [ratiosOf(measured, condition, figure), ratiosOf(measured, again.title, figure)];
    if (!ratio || !noise) return undefined;
    return figure === 'perSecond'
      ? ratio.median >= Math.min(noise.min, 1 - alwaysNoise.perSecond)
      : ratio.median <= Math.max(noise.max, 1 + alwaysNoise.p99Ms);
  });
  return verdicts.includes(undefined) ? undefined : verdicts.every(Boolean);
}

/** The most attempts that so many calls may come to. */
export function bound(calls: number): number {
  return calls * (1 + budget) + reserve;
}

/** Rounds in which the sick one was asked more often than that. */
export function excesses({ rounds }: Measured): readonly SickRound[] {
  return rounds.filter(({ calls, attempts }) => attempts > bound(calls));
}
