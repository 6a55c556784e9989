/**
 * Metrics as a port. Instruments are bound to their attributes once, at boot or at first sight of a bounded value, so
 * that recording on the hot path is an addition, not a look-up by a set of labels.
 */
export type Attributes = Readonly<Record<string, string | number | boolean>>;

export interface Counter {
  add(amount: number): void;
}

/** Goes up and down: what is in flight or open now. */
export interface Gauge {
  add(amount: number): void;
  set(value: number): void;
}

export interface Histogram {
  record(value: number): void;
}

/**
 * How what several processes of one gateway measure is told as one: added up, as the greatest, or for each process, with an
 * attribute `weir.worker`.
 */
export type Across = 'sum' | 'max' | 'each';

export interface InstrumentOptions {
  readonly description: string;
  /** UCUM, as the semantic conventions say: `s`, `By`, `{request}`. */
  readonly unit: string;
  /** Default: what counts and what goes up and down by additions is added up, of what is observed the greatest is told. */
  readonly across?: Across;
}

export interface Family<T> {
  /** The instrument for these attributes; the same one for the same attributes. Bounded: past the meter's bound of
   *  series the attributes `{ otel.metric.overflow: true }` take what is left. */
  with(attributes: Attributes): T;
}

export interface Meter {
  counter(name: string, options: InstrumentOptions): Family<Counter>;
  gauge(name: string, options: InstrumentOptions): Family<Gauge>;
  /** `bounds` are the upper bounds of the buckets, ascending; default: the durations of the HTTP semantic conventions. */
  histogram(name: string, options: InstrumentOptions & { readonly bounds?: readonly number[] }): Family<Histogram>;
  /** Asks `observe` at each collection instead of being told. */
  observe(
    name: string,
    options: InstrumentOptions & { readonly kind: 'gauge' | 'counter' },
    observe: (report: (value: number, attributes: Attributes) => void) => void,
  ): void;
}

const nothing = { add() {}, set() {}, record() {} };
const nowhere = { with: () => nothing };

/** A meter that keeps nothing, for tests of a part alone. */
export const noMeter: Meter = { counter: () => nowhere, gauge: () => nowhere, histogram: () => nowhere, observe() {} };
