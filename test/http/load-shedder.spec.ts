import { describe, expect, test } from 'vitest';
import { criticalities, type Criticality } from '#core/criticality.ts';
import type { WeirError } from '#core/errors.ts';
import { noMeter } from '#core/meter.ts';
import { LoadShedder } from '#policies/overload/load-shedder.ts';

const maxEventLoopLag = 500;
const everyMs = 50;

function shedder(maxInFlight = 4096): LoadShedder {
  return new LoadShedder({ maxInFlight, maxEventLoopLag }, noMeter);
}

/** @returns undefined where it is let in, else the error */
function refusal(load: LoadShedder, criticality: Criticality): WeirError | undefined {
  try {
    load.admit(criticality);
    return undefined;
  } catch (error) {
    return error as WeirError;
  }
}

/** Of what comes in from now on, by class, how many are let in. Each that is let in has ended at once. */
function letIn(load: LoadShedder, criticality: Criticality, count: number): number {
  let admitted = 0;
  for (let index = 0; index < count; index++) {
    load.enter();
    if (!refusal(load, criticality)) admitted++;
    load.leave();
  }
  return admitted;
}

/** Looks at an event loop that is so late each time, for so long, while so many of each class come in. */
function late(
  load: LoadShedder,
  lagMs: number,
  forMs: number,
  coming: Partial<Record<Criticality, number>> = {},
): void {
  for (let ms = 0; ms < forMs; ms += everyMs + lagMs) {
    for (const criticality of criticalities) letIn(load, criticality, coming[criticality] ?? 0);
    load.look({ lagMs, elapsedMs: everyMs + lagMs, utilization: lagMs === 0 ? 0.3 : 1 });
  }
}

function occupied(load: LoadShedder, count: number): LoadShedder {
  for (let index = 0; index < count; index++) load.enter();
  return load;
}

describe('What is in flight', () => {
  test.each([
    ['sheddable', 70],
    ['default', 90],
    ['critical', 100],
  ] as const)('may be filled by %s requests to %i %% of maxInFlight', (criticality, most) => {
    const load = occupied(shedder(100), most);
    expect(refusal(load, criticality)).toBeUndefined();
    load.enter();
    expect(refusal(load, criticality)?.code).toBe('OVERLOADED');
    load.leave();
    expect(refusal(load, criticality)).toBeUndefined();
  });

  test('is full for everybody at maxInFlight, and never before', () => {
    const load = occupied(shedder(3), 2);
    expect(load.full).toBe(false);
    load.enter();
    expect(load.full).toBe(true);
    load.leave();
    expect(load.full).toBe(false);
  });

  test.each([1, 2, 3, 9])('leaves a place for each class where maxInFlight is %i', (maxInFlight) => {
    for (const criticality of criticalities) {
      expect(refusal(occupied(shedder(maxInFlight), 1), criticality)).toBeUndefined();
    }
  });
});

describe('An event loop that lags', () => {
  test('less than it may sheds nothing, however long', () => {
    const load = occupied(shedder(), 4);
    late(load, maxEventLoopLag - 1, 60_000, { sheddable: 10 });
    expect(letIn(load, 'sheddable', 100)).toBe(100);
    expect(load.shedding).toBe(false);
  });

  test.each([
    ['a lone stall of a minute', 60_000],
    ['a collection of garbage', 600],
  ])('once, for %s, sheds nothing', (_, lagMs) => {
    const load = occupied(shedder(), 10);
    late(load, 0, 1_000, { default: 10 });
    late(load, lagMs, 1);
    expect(letIn(load, 'sheddable', 100)).toBe(100);
    late(load, 0, 1_000, { default: 10 });
    expect(load.shedding).toBe(false);
  });

  test('because the process is kept from its processor sheds nothing: it had nothing to do', () => {
    const load = occupied(shedder(), 10);
    for (let look = 0; look < 100; look++) load.look({ lagMs: 2_000, elapsedMs: 2_050, utilization: 0.02 });
    expect(letIn(load, 'sheddable', 100)).toBe(100);
  });

  test('for whatever other reason still serves two requests between two looks, the most critical that come', () => {
    const load = shedder();
    for (let look = 0; look < 20; look++) {
      late(load, 5_000, 1);
      if (look > 5) expect(letIn(load, 'default', 2)).toBe(2);
    }
    late(load, 5_000, 60_000, { critical: 4, default: 1 });
    expect(letIn(load, 'default', 10)).toBe(0);
    expect(letIn(load, 'critical', 10)).toBe(5);
  });

  test('sheds what is sheddable first, then a rising share of default, then critical', () => {
    const load = occupied(shedder(), 10);
    const coming = { critical: 10, default: 60, sheddable: 30 };
    const shares: number[][] = [];
    for (let step = 0; step < 40; step++) {
      // It is steered to less than what it may be before anything is refused.
      late(load, (load.shedding ? 0.7 : 1.3) * maxEventLoopLag, 700, coming);
      shares.push(criticalities.map((criticality) => letIn(load, criticality, 200) / 200));
    }
    const [critical, usual, sheddable] = criticalities.map((_, rank) => shares.map((share) => share[rank]!)) as [
      number[],
      number[],
      number[],
    ];
    // Nobody of a class is refused as long as somebody of the class after it is let in.
    shares.forEach(([a, b, c]) => {
      if (a! < 0.98) expect(b).toBeLessThan(0.02);
      if (b! < 0.98) expect(c).toBeLessThan(0.02);
    });
    // Two are served between two looks in any case, which shows once all else is refused.
    for (const share of [critical, usual, sheddable])
      share.slice(1).forEach((now, at) => expect(now).toBeLessThanOrEqual(share[at]! + 0.05));
    expect(sheddable.at(-1)).toBe(0);
    expect(usual.at(-1)).toBe(0);
    expect(critical.at(-1)).toBeLessThan(0.5);
    expect(usual.filter((share) => share > 0.1 && share < 0.9).length).toBeGreaterThan(3);
  });

  test('sheds of the only class there is, without having to go through the others', () => {
    const load = occupied(shedder(), 10);
    late(load, 2 * maxEventLoopLag, 3_000, { default: 100 });
    expect(letIn(load, 'default', 100)).toBeLessThan(50);
    expect(letIn(load, 'critical', 5)).toBe(5);
  });

  test('lets its share in evenly, and the same requests in the same order are decided alike', () => {
    const decisions = () => {
      const load = occupied(shedder(), 10);
      late(load, 2 * maxEventLoopLag, 3_000, { default: 100 });
      return Array.from({ length: 500 }, () => refusal(load, 'default') === undefined);
    };
    const once = decisions();
    expect(decisions()).toEqual(once);
    const gaps = once
      .flatMap((admitted, index) => (admitted ? [index] : []))
      .map((at, index, all) => at - (all[index - 1] ?? at));
    const [least, most] = [Math.min(...gaps.slice(1)), Math.max(...gaps)];
    expect(most - least).toBeLessThanOrEqual(1);
  });

  test('is not made out where many begin at once after silence, and the first of them has ended', () => {
    const load = shedder();
    late(load, 0, 60_000, { default: 10 });
    for (let look = 0; look < 200; look++) load.look({ lagMs: 0, elapsedMs: everyMs, utilization: 0 });
    occupied(load, 32);
    // A fifth of a second of work on all of them, two milliseconds of it each.
    for (let look = 0; look < 4; look++) load.look({ lagMs: 0, elapsedMs: everyMs, utilization: 1 });
    load.leave();
    for (let look = 0; look < 20; look++) {
      load.look({ lagMs: 0, elapsedMs: everyMs, utilization: 1 });
      expect(load.shedding).toBe(false);
      expect(load.lagMs).toBeLessThan(maxEventLoopLag);
      for (let ends = 0; ends < 8; ends++) {
        load.leave();
        load.enter();
      }
    }
  });

  test('forgets a flood within seconds', () => {
    const load = occupied(shedder(), 10);
    late(load, 3 * maxEventLoopLag, 60_000, { default: 1_000 });
    expect(letIn(load, 'default', 1_000)).toBeLessThan(20);
    late(load, 0, 4_000, { default: 10 });
    expect(letIn(load, 'sheddable', 100)).toBe(100);
  });
});

test('Who came while there was room is let in, whatever has come since in the same turn of the event loop', () => {
  const load = occupied(shedder(100), 100);
  expect(() => load.admit('sheddable', 70)).not.toThrow();
  expect(() => load.admit('sheddable', 71)).toThrow('too much to do');
  expect(() => load.admit('sheddable')).toThrow('too much to do');
});

describe('What a refused client is told', () => {
  test('is to come back in 1 to 10 s, not all at once, and later the more is refused', () => {
    const waits = (load: LoadShedder) =>
      Array.from({ length: 60 }, () => refusal(load, 'sheddable')?.retryAfterS).filter((wait) => wait !== undefined);
    const mild = waits(occupied(shedder(10), 9));
    expect(new Set(mild)).toEqual(new Set([1, 2, 3]));
    const flooded = occupied(shedder(), 10);
    late(flooded, 3 * maxEventLoopLag, 30_000, { default: 1_000 });
    const severe = waits(flooded);
    // Nobody is asked back before he is heard again.
    const leastS = Math.max(1, Math.ceil(flooded.holdOffMs / 1_000));
    expect(leastS).toBeLessThan(4);
    expect(new Set(severe)).toEqual(new Set([1, 2, 3, 4, 5, 6, 7, 8, 9, 10].slice(leastS - 1)));
    expect(occupied(shedder(1), 1).overflow()).toBeGreaterThan(0);
  });
});

/** A process whose event loop takes `costMs` for a request, in turns: each does a part of everything that is in flight. */
function serve(load: LoadShedder, times: number, seconds: number, mix: readonly (readonly [Criticality, number])[]) {
  const costMs = 2;
  const parts = 3;
  const refusalMs = 0.02;
  const quietMs = 3_000;
  const inFlight: { left: number; readonly criticality: Criticality }[] = [];
  const offered = { critical: 0, default: 0, sheddable: 0 };
  const served = { critical: 0, default: 0, sheddable: 0 };
  const workBySecond = Array.from({ length: seconds + 1 }, () => 0);
  let [nowMs, lastMs, workMs, come, most] = [0, 0, 0, 0, 0];
  const work = (ms: number) => {
    nowMs += ms;
    workMs += ms;
  };
  while (nowMs < quietMs + seconds * 1_000) {
    if (nowMs - lastMs >= everyMs) {
      const elapsedMs = nowMs - lastMs;
      load.look({ lagMs: elapsedMs - everyMs, elapsedMs, utilization: Math.min(1, workMs / elapsedMs) });
      [lastMs, workMs] = [nowMs, 0];
    }
    const flood = nowMs > quietMs;
    const due = (0.5 * Math.min(nowMs, quietMs) + times * Math.max(0, nowMs - quietMs)) / costMs;
    for (; come < due; come++) {
      let place = (come * 0.618_033_988_75) % 1;
      const [criticality] = mix.find(([, share]) => (place -= share) < 0)!;
      if (flood) offered[criticality]++;
      load.enter();
      if (!load.full && !refusal(load, criticality)) {
        inFlight.push({ left: parts, criticality });
        continue;
      }
      load.leave();
      work(refusalMs);
    }
    most = Math.max(most, inFlight.length);
    for (const request of inFlight.splice(0)) {
      work(costMs / parts);
      if (--request.left > 0) {
        inFlight.push(request);
        continue;
      }
      load.leave();
      if (!flood) continue;
      served[request.criticality]++;
      const second = Math.floor((nowMs - quietMs) / 1_000);
      workBySecond[second]! += costMs / 1_000;
    }
    if (inFlight.length === 0) nowMs += 1;
  }
  const share = (criticality: Criticality) => served[criticality] / offered[criticality];
  // The one that is under way when time is up is not whole.
  return { goodput: workBySecond.slice(0, seconds), share, most };
}

function average(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

describe('A process that is offered more than it can do', () => {
  test.each([1.1, 2, 5, 10])(
    '%d times does nearly all it can, in every second, and keeps what is in flight short',
    (times) => {
      const { goodput, most } = serve(shedder(), times, 20, [['default', 1]]);
      expect(average(goodput)).toBeGreaterThan(0.8);
      for (let at = 5; at < 20; at += 3) expect(average(goodput.slice(at, at + 3))).toBeGreaterThan(0.75);
      // What takes the loop three times as long as it may lag, and what comes in before the second look at it.
      expect(most).toBeLessThan(2_000);
    },
  );

  test('serves what is critical, and of the rest what is left, as long as the critical alone is not too much', () => {
    const { share } = serve(shedder(), 3, 30, [
      ['critical', 0.1],
      ['default', 0.5],
      ['sheddable', 0.4],
    ]);
    expect(share('critical')).toBeGreaterThan(0.9);
    expect(share('default')).toBeGreaterThan(0.3);
    expect(share('sheddable')).toBeLessThan(0.1);
  });

  test('is not kept from it by requests that wait for slow services, or for nothing', () => {
    const load = occupied(shedder(), 500);
    const { goodput } = serve(load, 2, 20, [['default', 1]]);
    expect(average(goodput)).toBeGreaterThan(0.8);
  });
});
