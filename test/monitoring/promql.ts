/** What a query of PromQL says of metrics and labels. Whether it is valid at all is promtool's to say. */

export interface Matcher {
  readonly label: string;
  readonly operator: '=' | '!=' | '=~' | '!~';
  readonly value: string;
}

export interface Selector {
  readonly metric: string;
  readonly matchers: readonly Matcher[];
}

export interface QueryNames {
  readonly selectors: readonly Selector[];
  /** Labels after `by`, `on`, `ignoring` and the like. */
  readonly groupings: readonly string[];
}

const token =
  /\s+|(?<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?<range>\[[^\]]*\])|(?<number>\d+(?:\.\d+)?(?:[smhdwy]\w*)?)|(?<name>[A-Za-z_:][\w:]*)|(?<sign>[=!]~|[=!<>]=|[-+*/%^<>=(){},])/y;

const words = new Set(['and', 'or', 'unless', 'offset', 'bool']);
const grouping = new Set(['by', 'without', 'on', 'ignoring', 'group_left', 'group_right']);

/** @throws {Error} at what is none of PromQL's tokens */
function tokensOf(expr: string): { readonly text: string; readonly kind: string }[] {
  const tokens: { text: string; kind: string }[] = [];
  token.lastIndex = 0;
  while (token.lastIndex < expr.length) {
    const at = token.lastIndex;
    const match = token.exec(expr);
    if (!match) throw new Error(`cannot read '${expr.slice(at)}' of ${expr}`);
    const [kind, text] =
      Object.entries(match.groups ?? {}).find(([, found]: [string, string | undefined]) => found !== undefined) ?? [];
    if (kind !== undefined && kind !== 'range' && kind !== 'number') tokens.push({ kind, text: text! });
  }
  return tokens;
}

/** The names in a query. @throws {Error} when it cannot be read */
export function namesOf(expr: string): QueryNames {
  const tokens = tokensOf(expr);
  const selectors: Selector[] = [];
  const groupings: string[] = [];
  for (let index = 0; index < tokens.length; index++) {
    const { text, kind } = tokens[index]!;
    if (kind !== 'name' || words.has(text)) continue;
    const next = tokens[index + 1]?.text;
    if (grouping.has(text)) {
      for (index += 2; tokens[index]!.text !== ')'; index++) {
        if (tokens[index]!.kind === 'name') groupings.push(tokens[index]!.text);
      }
    } else if (next === '{') {
      const matchers: Matcher[] = [];
      for (index += 2; tokens[index]!.text !== '}'; index++) {
        if (tokens[index]!.text === ',') continue;
        const [label, operator, value] = tokens.slice(index, index + 3).map((part) => part.text);
        matchers.push({
          label: label!,
          operator: operator as Matcher['operator'],
          value: JSON.parse(value!) as string,
        });
        index += 2;
      }
      selectors.push({ metric: text, matchers });
    } else if (next === undefined || (next !== '(' && !grouping.has(next))) {
      // Before a parenthesis, or a grouping, stands a function or an aggregation.
      selectors.push({ metric: text, matchers: [] });
    }
  }
  return { selectors, groupings };
}
