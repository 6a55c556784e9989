/** Wire formats of `@defer` and `@stream`, by the parameter of `multipart/mixed` that asks for them. */
export type IncrementalFormat = 'deferSpec=20220824' | 'incrementalSpec=v0.2';

/** What a client takes, decided before anything is spent on an answer. Undefined is what it does not take. */
export interface Accept {
  readonly json: 'application/json' | 'application/graphql-response+json' | undefined;
  /** `text/event-stream`, for subscriptions. */
  readonly events: boolean;
  /** `multipart/mixed`, and whether the format was named. */
  readonly incremental: { readonly format: IncrementalFormat; readonly named: boolean } | undefined;
}

const anything: Accept = { json: 'application/json', events: true, incremental: undefined };

interface MediaRange {
  readonly type: string;
  readonly parameters: readonly string[];
  readonly quality: number;
}

/**
 * RFC 9110 §12.5.1. Where the client has no preference, `application/json` (GraphQL over HTTP, §4.2, for clients that
 * name neither type); between types of one quality, the one that says more. `multipart/mixed` counts only where it is
 * named: a client that takes anything would not put an answer in parts together.
 */
export function readAccept(header: string | undefined): Accept {
  if (header === undefined || header === '*/*' || header === '') return anything;
  const ranges = header.toLowerCase().split(',').map(mediaRange);
  const response = qualityOf(ranges, 'application/graphql-response+json');
  const json = qualityOf(ranges, 'application/json');
  const named = ranges.some(({ type }) => type === 'application/graphql-response+json');
  const multipart = ranges.find(({ type, quality }) => type === 'multipart/mixed' && quality > 0);
  return {
    json:
      named && response > 0 && response >= json
        ? 'application/graphql-response+json'
        : json > 0
          ? 'application/json'
          : undefined,
    events: qualityOf(ranges, 'text/event-stream') > 0,
    incremental: multipart && incrementalFormat(multipart),
  };
}

/** A client that names no format takes the one that was there before formats had names. */
function incrementalFormat({ parameters }: MediaRange): Accept['incremental'] {
  if (parameters.includes('incrementalspec=v0.2')) return { format: 'incrementalSpec=v0.2', named: true };
  return { format: 'deferSpec=20220824', named: parameters.includes('deferspec=20220824') };
}

function mediaRange(text: string): MediaRange {
  const [type = '', ...parameters] = text.split(';').map((part) => part.trim().replaceAll('"', ''));
  const charset = parameters.find((parameter) => parameter.startsWith('charset='));
  const weight = parameters.find((parameter) => parameter.startsWith('q='));
  // JSON is UTF-8 (RFC 8259 §8.1), and so is an event stream.
  const quality =
    charset !== undefined && charset !== 'charset=utf-8' ? 0 : weight === undefined ? 1 : Number(weight.slice(2));
  return { type, parameters, quality: quality >= 0 && quality <= 1 ? quality : 0 };
}

/** The most specific range that matches decides. */
function qualityOf(ranges: readonly MediaRange[], type: string): number {
  const family = `${type.slice(0, type.indexOf('/'))}/*`;
  for (const wanted of [type, family, '*/*']) {
    const matching = ranges.filter((range) => range.type === wanted);
    if (matching.length > 0) return Math.max(...matching.map(({ quality }) => quality));
  }
  return 0;
}
