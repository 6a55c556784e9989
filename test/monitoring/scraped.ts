import { exposition } from '../telemetry/exposition.ts';
import { namesOf, type Matcher } from './promql.ts';

/** What Prometheus itself adds to every series. */
const ofTarget = ['job', 'instance'];

type Labels = Readonly<Record<string, string>>;

/** The series that a Prometheus would have: what gateways showed it, what it knows itself, and what its rules record. */
export class Scraped {
  readonly #series = new Map<string, Labels[]>();

  /** Adds what was read from `/metrics`. */
  read(text: string): this {
    for (const { samples } of exposition(text).values()) for (const { name, labels } of samples) this.add(name, labels);
    return this;
  }

  add(metric: string, labels: Labels): this {
    this.#series.set(metric, [...(this.#series.get(metric) ?? []), labels]);
    return this;
  }

  has(metric: string): boolean {
    return this.#series.has(metric);
  }

  labelsOf(metric: string): ReadonlySet<string> {
    return new Set([...ofTarget, ...(this.#series.get(metric) ?? []).flatMap((labels) => Object.keys(labels))]);
  }

  /** What of a query is not there, a line each. */
  missingOf(expr: string): string[] {
    const { selectors, groupings } = namesOf(expr);
    const known = new Set(selectors.flatMap(({ metric }) => [...this.labelsOf(metric)]));
    return [
      ...selectors.flatMap(({ metric, matchers }) =>
        this.has(metric)
          ? matchers.flatMap((matcher) => this.#missing(metric, matcher))
          : [`there is no metric ${metric}`],
      ),
      ...groupings
        .filter((label) => selectors.length > 0 && !known.has(label))
        .map((label) => `nothing here has a label ${label}`),
    ];
  }

  /** A value is asked for only where it selects: that something is not there is no mistake. */
  #missing(metric: string, { label, operator, value }: Matcher): string[] {
    if (!this.labelsOf(metric).has(label)) return [`${metric} has no label ${label}`];
    if (operator.startsWith('!') || value === '' || value.includes('$') || ofTarget.includes(label)) return [];
    const wanted = operator === '=' ? (text: string) => text === value : matching(value);
    const values = (this.#series.get(metric) ?? []).map((labels) => labels[label] ?? '');
    return values.some(wanted) ? [] : [`no ${metric} has ${label}${operator}"${value}"`];
  }
}

/** Prometheus anchors its expressions at both ends. */
function matching(expression: string): (text: string) => boolean {
  const anchored = new RegExp(`^(?:${expression})$`);
  return (text) => anchored.test(text);
}
