/** What all instances on one Redis agree on, as it was last read. */
export interface SharedState {
  /** Another one: what Redis had is gone, or all of it was made invalid. */
  readonly era: string;
  /** News that have been told in this era. */
  readonly news: number;
  /** Of upstreams of which all was made invalid at once. */
  readonly epochs: ReadonlyMap<string, string>;
}

/** The field of the state that an upstream's epoch stands in. */
export function epochField(upstream: string): string {
  return `epoch:${upstream}`;
}

/** The answer to HGETALL; undefined where it is none of ours. */
export function stateOf(answer: unknown): SharedState | undefined {
  if (!Array.isArray(answer)) return undefined;
  let era: string | undefined;
  let news = 0;
  const epochs = new Map<string, string>();
  for (let at = 0; at + 1 < answer.length; at += 2) {
    const field = String(answer[at]);
    const value = String(answer[at + 1]);
    if (field === 'era') era = value;
    else if (field === 'news') news = Number(value);
    else if (field.startsWith('epoch:')) epochs.set(field.slice('epoch:'.length), value);
  }
  return era === undefined || !Number.isSafeInteger(news) ? undefined : { era, news, epochs };
}

/** What stands in the keys of all entries of an upstream: another one, and nothing of it is found any more. */
export function epochOf({ era, epochs }: SharedState, upstream: string): string {
  return `${era} ${epochs.get(upstream) ?? ''}`;
}
