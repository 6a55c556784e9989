import type { Across, Attributes, Counter, Family, Gauge, Histogram, InstrumentOptions, Meter } from '#core/meter.ts';

/** Seconds; the buckets that the HTTP semantic conventions advise for `http.server.request.duration`. */
export const durationBounds: readonly number[] = [
  0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10,
];

/** OpenTelemetry's default: series of one family, the one for what overflows among them. */
const defaultMaxSeries = 2000;
const overflow: Attributes = { 'otel.metric.overflow': true };

export interface NumberPoint {
  readonly attributes: Attributes;
  readonly value: number;
}

export interface HistogramPoint {
  readonly attributes: Attributes;
  /** One for each bound, and one for what is above the last. */
  readonly counts: readonly number[];
  readonly sum: number;
  readonly count: number;
}

interface FamilyFacts {
  readonly name: string;
  readonly unit: string;
  readonly description: string;
  readonly across: Across;
}

/** `level` goes up and down by additions and can be summed over processes; a `gauge` is what was last seen. */
type NumberKind = 'counter' | 'level' | 'gauge';

/** What a family holds now, as plain data. */
export type FamilySnapshot = FamilyFacts &
  (
    | { readonly kind: NumberKind; readonly points: readonly NumberPoint[] }
    | { readonly kind: 'histogram'; readonly bounds: readonly number[]; readonly points: readonly HistogramPoint[] }
  );

export interface MeterSnapshot {
  readonly families: readonly FamilySnapshot[];
  /** What observers threw; their families keep what was reported until then. */
  readonly errors: readonly unknown[];
}

type Observer = (report: (value: number, attributes: Attributes) => void) => void;

/** Metrics whose recording is a few additions; they take OpenTelemetry's form only when they are collected. */
export class TelemetryMeter implements Meter {
  readonly #maxSeries: number;
  readonly #families = new Map<string, NumberFamily | HistogramFamily | ObservedFamily>();

  constructor(maxSeries = defaultMaxSeries) {
    this.#maxSeries = maxSeries;
  }

  counter(name: string, options: InstrumentOptions): Family<Counter> {
    return this.#family(
      name,
      'counter',
      NumberFamily,
      () => new NumberFamily('counter', name, options, this.#maxSeries),
    );
  }

  gauge(name: string, options: InstrumentOptions): Family<Gauge> {
    return this.#family(name, 'level', NumberFamily, () => new NumberFamily('level', name, options, this.#maxSeries));
  }

  histogram(name: string, options: InstrumentOptions & { readonly bounds?: readonly number[] }): Family<Histogram> {
    return this.#family(name, 'histogram', HistogramFamily, () => new HistogramFamily(name, options, this.#maxSeries));
  }

  observe(name: string, options: InstrumentOptions & { readonly kind: 'gauge' | 'counter' }, observer: Observer): void {
    const make = () => new ObservedFamily(options.kind, name, options, this.#maxSeries);
    this.#family(name, options.kind, ObservedFamily, make).observers.push(observer);
  }

  snapshot(): MeterSnapshot {
    const errors: unknown[] = [];
    return { families: Array.from(this.#families.values(), (family) => family.snapshot(errors)), errors };
  }

  /** Several parts may record to one family; that it is the same to all of them is checked, since one name is one thing. */
  #family<F extends NumberFamily | HistogramFamily | ObservedFamily>(
    name: string,
    kind: FamilySnapshot['kind'],
    type: abstract new (...args: never[]) => F,
    make: () => F,
  ): F {
    const existing = this.#families.get(name);
    if (existing === undefined) {
      const family = make();
      this.#families.set(name, family);
      return family;
    }
    if (existing instanceof type && existing.kind === kind) return existing;
    throw new Error(`metric '${name}' is already a ${existing.kind}; give this ${kind} another name`);
  }
}

/** The series of a family by their attributes, bounded. */
class SeriesMap<S> {
  readonly #max: number;
  readonly #make: (attributes: Attributes) => S;
  readonly #byKey = new Map<string, S>();

  constructor(max: number, make: (attributes: Attributes) => S) {
    this.#max = max;
    this.#make = make;
  }

  of(attributes: Attributes): S {
    const key = JSON.stringify(Object.entries(attributes).toSorted(([a], [b]) => (a < b ? -1 : 1)));
    const existing = this.#byKey.get(key);
    if (existing !== undefined) return existing;
    if (this.#byKey.size >= this.#max - 1 && attributes !== overflow) return this.of(overflow);
    const series = this.#make(attributes);
    this.#byKey.set(key, series);
    return series;
  }

  all(): S[] {
    return [...this.#byKey.values()];
  }
}

class NumberSeries implements Counter, Gauge, NumberPoint {
  readonly attributes: Attributes;
  value = 0;

  constructor(attributes: Attributes) {
    this.attributes = attributes;
  }

  add(amount: number): void {
    this.value += amount;
  }

  set(value: number): void {
    this.value = value;
  }
}

class HistogramSeries implements Histogram, HistogramPoint {
  readonly attributes: Attributes;
  readonly counts: number[];
  sum = 0;
  count = 0;
  readonly #bounds: readonly number[];

  constructor(attributes: Attributes, bounds: readonly number[]) {
    this.attributes = attributes;
    this.#bounds = bounds;
    this.counts = Array.from({ length: bounds.length + 1 }, () => 0);
  }

  record(value: number): void {
    const bounds = this.#bounds;
    let bucket = 0;
    // Most values are small, so the scan is short; a bound belongs to the bucket below it.
    while (bucket < bounds.length && value > bounds[bucket]!) bucket++;
    this.counts[bucket]!++;
    this.sum += value;
    this.count++;
  }
}

function factsOf(
  name: string,
  { unit, description, across }: InstrumentOptions,
  kind: FamilySnapshot['kind'],
): FamilyFacts {
  return { name, unit, description, across: across ?? (kind === 'gauge' ? 'max' : 'sum') };
}

class NumberFamily implements Family<NumberSeries> {
  readonly kind: NumberKind;
  readonly #facts: FamilyFacts;
  readonly #series: SeriesMap<NumberSeries>;

  constructor(kind: NumberKind, name: string, options: InstrumentOptions, maxSeries: number) {
    this.kind = kind;
    this.#facts = factsOf(name, options, kind);
    this.#series = new SeriesMap(maxSeries, (attributes) => new NumberSeries(attributes));
  }

  with(attributes: Attributes): NumberSeries {
    return this.#series.of(attributes);
  }

  snapshot(): FamilySnapshot {
    const points = this.#series.all().map(({ attributes, value }) => ({ attributes, value }));
    return { ...this.#facts, kind: this.kind, points };
  }
}

class HistogramFamily implements Family<HistogramSeries> {
  readonly kind = 'histogram';
  readonly #facts: FamilyFacts;
  readonly #bounds: readonly number[];
  readonly #series: SeriesMap<HistogramSeries>;

  constructor(name: string, options: InstrumentOptions & { readonly bounds?: readonly number[] }, maxSeries: number) {
    const { bounds = durationBounds } = options;
    this.#facts = factsOf(name, options, 'histogram');
    this.#bounds = bounds;
    this.#series = new SeriesMap(maxSeries, (attributes) => new HistogramSeries(attributes, bounds));
  }

  with(attributes: Attributes): HistogramSeries {
    return this.#series.of(attributes);
  }

  snapshot(): FamilySnapshot {
    const points = this.#series
      .all()
      .map(({ attributes, counts, sum, count }) => ({ attributes, counts: [...counts], sum, count }));
    return { ...this.#facts, kind: this.kind, bounds: this.#bounds, points };
  }
}

/** Asked at each collection; a later report for the same attributes replaces an earlier one. */
class ObservedFamily {
  readonly kind: 'gauge' | 'counter';
  readonly observers: Observer[] = [];
  readonly #facts: FamilyFacts;
  readonly #maxSeries: number;

  constructor(kind: 'gauge' | 'counter', name: string, options: InstrumentOptions, maxSeries: number) {
    this.kind = kind;
    this.#facts = factsOf(name, options, kind);
    this.#maxSeries = maxSeries;
  }

  snapshot(errors: unknown[]): FamilySnapshot {
    const series = new SeriesMap(this.#maxSeries, (attributes) => new NumberSeries(attributes));
    for (const observer of this.observers) {
      try {
        observer((value, attributes) => series.of(attributes).set(value));
      } catch (error) {
        errors.push(error);
      }
    }
    return { ...this.#facts, kind: this.kind, points: series.all() };
  }
}
