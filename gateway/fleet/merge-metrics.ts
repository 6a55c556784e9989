import type { Attributes } from '#core/meter.ts';
import type { FamilySnapshot, HistogramPoint, MeterSnapshot, NumberPoint } from '#gateway/telemetry/meter.ts';

/** What one process has measured, and how it is called where its figures stand alone. */
export interface Part {
  readonly worker: string;
  readonly snapshot: MeterSnapshot;
}

/** Adds up what several processes have measured, as each metric says (`across`). */
export function mergeMetrics(parts: readonly Part[]): MeterSnapshot {
  const families = new Map<string, MergedFamily>();
  for (const { worker, snapshot } of parts) {
    for (const family of snapshot.families) {
      let merged = families.get(family.name);
      if (!merged) families.set(family.name, (merged = new MergedFamily(family)));
      merged.add(family, worker);
    }
  }
  return {
    families: Array.from(families.values(), (family) => family.snapshot()),
    errors: parts.flatMap(({ snapshot }) => snapshot.errors),
  };
}

/** What of a process that has ended still counts: all that it had counted, but nothing that was in flight or open. */
export function countedBy({ families }: MeterSnapshot): MeterSnapshot {
  const counted = families.filter(
    ({ kind, across }) => across === 'sum' && (kind === 'counter' || kind === 'histogram'),
  );
  return { families: counted, errors: [] };
}

class MergedFamily {
  readonly #facts: FamilySnapshot;
  readonly #numbers = new Map<string, NumberPoint>();
  readonly #histograms = new Map<string, HistogramPoint>();

  constructor(facts: FamilySnapshot) {
    this.#facts = facts;
  }

  add(family: FamilySnapshot, worker: string): void {
    const { kind, across } = this.#facts;
    // The processes run the same code, so that one name is one thing in all of them.
    if (family.kind !== kind) return;
    const own = across === 'each' ? { 'weir.worker': worker } : {};
    if (family.kind === 'histogram') {
      for (const point of family.points) {
        this.#put(this.#histograms, { ...point, attributes: { ...point.attributes, ...own } }, addHistograms);
      }
    } else {
      const merge = across === 'max' ? greater : addNumbers;
      for (const point of family.points) {
        this.#put(this.#numbers, { ...point, attributes: { ...point.attributes, ...own } }, merge);
      }
    }
  }

  snapshot(): FamilySnapshot {
    return this.#facts.kind === 'histogram'
      ? { ...this.#facts, points: [...this.#histograms.values()] }
      : { ...this.#facts, points: [...this.#numbers.values()] };
  }

  #put<P extends { readonly attributes: Attributes }>(
    points: Map<string, P>,
    point: P,
    merge: (a: P, b: P) => P,
  ): void {
    const key = keyOf(point.attributes);
    const other = points.get(key);
    points.set(key, other ? merge(other, point) : point);
  }
}

function addNumbers(a: NumberPoint, b: NumberPoint): NumberPoint {
  return { ...a, value: a.value + b.value };
}

function greater(a: NumberPoint, b: NumberPoint): NumberPoint {
  return b.value > a.value ? b : a;
}

function addHistograms(a: HistogramPoint, b: HistogramPoint): HistogramPoint {
  const counts = a.counts.map((count, bucket) => count + (b.counts[bucket] ?? 0));
  return { ...a, counts, sum: a.sum + b.sum, count: a.count + b.count };
}

function keyOf(attributes: Attributes): string {
  return JSON.stringify(Object.entries(attributes).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
