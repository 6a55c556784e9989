import type { ErrorObject } from 'ajv/dist/2020.js';
import type { Logger } from '#core/log.ts';
import type { Family, Counter, Meter } from '#core/meter.ts';
import type { Fault } from './fault.ts';

export type Message = 'request' | 'response';

/** Between something that is found and its line. */
const everyMs = 60_000;
/** Places that are told apart, in the log and in the metric; names of members can be anybody's choice. */
const maxPlaces = 500;
const elsewhere = 'other';

interface Tally {
  readonly route: string;
  readonly operation: string;
  readonly message: Message;
  checked: number;
  readonly findings: Map<string, { readonly place: string; readonly what: string; count: number }>;
}

/** Counts what is not as documents say, by place, and tells the log of it now and then. */
export class Drift {
  readonly #log: Logger;
  readonly #counters: Family<Counter>;
  readonly #places = new Set<string>();
  #tallies = new Map<string, Tally>();
  #timer: NodeJS.Timeout | undefined;

  constructor(log: Logger, meter: Meter) {
    this.#log = log;
    this.#counters = meter.counter('weir.contract.drift', {
      description: 'What is not as the OpenAPI document of the upstream says, in requests and sampled answers',
      unit: '{finding}',
    });
  }

  /** Notes a message that was looked at, with what was found in it. */
  note(route: string, operation: string, message: Message, faults: readonly Fault[]): void {
    const key = `${route} ${operation} ${message}`;
    let tally = this.#tallies.get(key);
    if (!tally) this.#tallies.set(key, (tally = { route, operation, message, checked: 0, findings: new Map() }));
    tally.checked++;
    // Many items of one list are one finding of the message.
    const seen = new Set<string>();
    for (const fault of faults) {
      const { place, what } = findingOf(fault);
      const known = this.#bounded(place);
      const finding = `${known} ${what}`;
      if (seen.has(finding)) continue;
      seen.add(finding);
      this.#counters.with({ 'http.route': route, 'weir.message': message, 'weir.contract.place': known }).add(1);
      const counted = tally.findings.get(finding);
      if (counted) counted.count++;
      else if (tally.findings.size < maxPlaces) tally.findings.set(finding, { place: known, what, count: 1 });
    }
    if (seen.size > 0) this.#timer ??= setTimeout(() => this.flush(), everyMs).unref();
  }

  /** Says what has been counted, now. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const tallies = this.#tallies;
    this.#tallies = new Map();
    for (const { route, operation, message, checked, findings } of tallies.values()) {
      if (findings.size === 0) continue;
      const told = [...findings.values()].map(({ place, what, count }) => ({
        finding: `\`${place}\` ${what}, ${percent(count / checked)}`,
        count,
      }));
      this.#log.warn({ route, operation, message, checked, findings: told }, 'contract drift');
    }
  }

  #bounded(place: string): string {
    if (this.#places.has(place)) return place;
    if (this.#places.size >= maxPlaces) return elsewhere;
    this.#places.add(place);
    return place;
  }
}

function percent(share: number): string {
  const percents = share * 100;
  return `${percents < 10 ? Number(percents.toFixed(1)) : Math.round(percents)} %`;
}

/** Where it is, with items of lists as one, and what is there instead. */
function findingOf({ detail, pointer, parameter, in: place, error }: Fault): {
  readonly place: string;
  readonly what: string;
} {
  const way = (pointer ?? '').split('/').slice(1).map(unescaped);
  const steps = parameter === undefined ? way : [`${place} ${parameter}`, ...way];
  const path = steps.reduce(
    (text, step) => (/^\d+$/.test(step) ? `${text}[]` : text === '' ? step : `${text}.${step}`),
    '',
  );
  return { place: path === '' ? 'body' : path.slice(0, 128), what: error ? whatOf(error) : detail };
}

function unescaped(step: string): string {
  return decodeURI(step).replaceAll('~1', '/').replaceAll('~0', '~');
}

function whatOf({ keyword, data, params, message = '' }: ErrorObject): string {
  if (keyword === 'type') return `became ${typeOf(data)}`;
  if (keyword === 'required') return 'is missing';
  if (keyword === 'additionalProperties' || keyword === 'unevaluatedProperties') return 'is not documented';
  if (keyword === 'enum' || keyword === 'const') return 'has another value';
  if (keyword === 'format') return `is no ${String(params.format)}`;
  return message;
}

function typeOf(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}
