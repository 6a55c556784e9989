/** One hop as a proxy saw it (RFC 7239 §4); of its parameters those that are used. */
export interface ForwardedHop {
  readonly for?: string;
  readonly host?: string;
  readonly proto?: string;
}

/** A parameter, and the `;`, `,` or end after it: a token, or a quoted string (RFC 9110 §5.6.4). */
const parameter = /[ \t]*([!#$%&'*+.^_`|~\w-]+)=(?:([!#$%&'*+.^_`|~\w-]*)|"((?:[^"\\]|\\.)*)")[ \t]*(;|,|$)/y;

/** The hops of a `Forwarded` field, the client's first. One that cannot be read has none: nobody knows what it says. */
export function readForwarded(value: string): readonly ForwardedHop[] {
  const hops: ForwardedHop[] = [];
  let hop: Record<string, string> = {};
  parameter.lastIndex = 0;
  for (;;) {
    const match = parameter.exec(value);
    if (!match) return [];
    const [, name = '', token, quoted, delimiter] = match;
    hop[name.toLowerCase()] = token ?? quoted!.replaceAll(/\\(.)/g, '$1');
    if (delimiter === ';') continue;
    hops.push(hop);
    hop = {};
    if (delimiter === '') return hops;
  }
}
