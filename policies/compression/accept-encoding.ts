/** What a client takes, by its `Accept-Encoding`. */
export interface Acceptable<Coding> {
  /** The one it likes most of those offered; undefined where it likes none, or plain content more. */
  readonly coding: Coding | undefined;
  /** It refuses plain content. */
  readonly refusesPlain: boolean;
}

const anything: Acceptable<never> = { coding: undefined, refusesPlain: false };

/**
 * RFC 9110 §12.5.3. Without the field a client may well take everything, but has not asked for anything.
 * @param offered by preference, which decides between those that the client likes equally
 */
export function acceptable<Coding extends string>(
  field: string | undefined,
  offered: readonly Coding[],
): Acceptable<Coding> {
  if (field === undefined || field === '') return anything;
  const weights = weightsOf(field);
  const rest = weights.get('*');
  let coding: Coding | undefined;
  let best = 0;
  for (const one of offered) {
    const weight = weights.get(one) ?? rest ?? 0;
    if (weight > best) {
      best = weight;
      coding = one;
    }
  }
  const plain = weights.get('identity');
  if (plain !== undefined && plain > best) return anything;
  return { coding, refusesPlain: (plain ?? rest) === 0 };
}

/** More members than any client needs are not read. */
const maxMembers = 32;

function weightsOf(field: string): ReadonlyMap<string, number> {
  const weights = new Map<string, number>();
  for (const member of field.toLowerCase().split(',', maxMembers)) {
    const semicolon = member.indexOf(';');
    const name = (semicolon < 0 ? member : member.slice(0, semicolon)).trim();
    if (name === '') continue;
    // RFC 9110 §8.4.1.3: another name for the same.
    weights.set(name === 'x-gzip' ? 'gzip' : name, semicolon < 0 ? 1 : weightOf(member.slice(semicolon + 1)));
  }
  return weights;
}

/** RFC 9110 §12.4.2. What is no weight is the least: nobody is sent what they may not have asked for. */
function weightOf(parameter: string): number {
  const [name = '', value = ''] = parameter.split('=', 2);
  const weight = Number(value.trim() || Number.NaN);
  return name.trim() === 'q' && weight >= 0 && weight <= 1 ? weight : 0;
}
