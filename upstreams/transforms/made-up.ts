import { typesOf, type JsonSchema, type Resolve } from './json-schema.ts';

/** A whole number from 0 to below `below`; where it comes from decides whether values repeat, or shrink. */
export type Draw = (below: number) => number;

/** Deeper than this, only what must be there is. */
const maxDepth = 6;

/** Words of many forms, for patterns that are met by luck. */
const words = ['1', '7', '20001', 'a', 'abc', 'ABC', 'a1', 'x-1', '1.50', '-12', 'EUR', 'DE', '0a1b2c', 'true'];

const formats: Readonly<Record<string, (draw: Draw) => string>> = {
  'date-time': (draw) => new Date(1_700_000_000_000 + draw(1_000_000) * 1_000).toISOString(),
  date: (draw) => new Date(1_700_000_000_000 + draw(1_000) * 86_400_000).toISOString().slice(0, 10),
  uuid: (draw) =>
    `00000000-0000-4000-8000-${draw(2 ** 31)
      .toString(16)
      .padStart(12, '0')}`,
  email: (draw) => `somebody${draw(1_000)}@example.com`,
  uri: (draw) => `https://example.com/${draw(1_000)}`,
};

/**
 * Makes a value up that fits a schema.
 * @throws {Error} for a pattern that nothing fits which could be thought of; `examples` in the schema help
 */
export function madeUp(schema: JsonSchema, draw: Draw, resolve: Resolve, depth = 0): unknown {
  const resolved = resolve(schema);
  const { enum: choices, allOf, properties } = resolved;
  if (resolved.const !== undefined) return resolved.const;
  if (choices) return choices[draw(choices.length)];
  const forms = resolved.anyOf ?? resolved.oneOf;
  if (forms) return madeUp(forms[draw(forms.length)]!, draw, resolve, depth);
  if (allOf) {
    const parts = allOf.map((part) => madeUp(part, draw, resolve, depth));
    return Object.assign({}, ...parts, properties && anObject(resolved, draw, resolve, depth)) as unknown;
  }
  const types = typesOf(resolved) ?? ['string'];
  switch (types[draw(types.length)]) {
    case 'null':
      return null;
    case 'boolean':
      return draw(2) === 1;
    case 'integer':
      return aNumber(resolved, draw, 1);
    case 'number':
      return aNumber(resolved, draw, resolved.multipleOf ?? 0.5);
    case 'array':
      return anArray(resolved, draw, resolve, depth);
    case 'object':
      return anObject(resolved, draw, resolve, depth);
    default:
      return aString(resolved, draw);
  }
}

function aNumber({ minimum = -1_000, maximum = minimum + 2_000, multipleOf }: JsonSchema, draw: Draw, unit: number) {
  const grain = multipleOf ?? unit;
  const least = Math.ceil(minimum / grain);
  return (least + draw(Math.max(1, Math.floor(maximum / grain) - least + 1))) * grain;
}

function anArray(
  { items = {}, minItems = 0, maxItems = minItems + 3 }: JsonSchema,
  draw: Draw,
  resolve: Resolve,
  depth: number,
) {
  const most = depth > maxDepth ? minItems : Math.min(maxItems, minItems + 3);
  const length = minItems + draw(most - minItems + 1);
  return Array.from({ length }, () => madeUp(items, draw, resolve, depth + 1));
}

function anObject({ properties = {}, required = [] }: JsonSchema, draw: Draw, resolve: Resolve, depth: number) {
  const names = Object.keys(properties).filter((name) => required.includes(name) || (depth <= maxDepth && draw(4) > 0));
  return Object.fromEntries(names.map((name) => [name, madeUp(properties[name]!, draw, resolve, depth + 1)]));
}

function aString(
  { pattern, format, minLength = 0, maxLength = minLength + 24, examples, example }: JsonSchema,
  draw: Draw,
) {
  const written = [...(examples ?? []), ...(example === undefined ? [] : [example])].filter(
    (one) => typeof one === 'string',
  );
  if (pattern !== undefined) {
    const regexp = new RegExp(pattern, 'u');
    const candidates = [...words, ...written, String(1 + draw(100_000))].filter((word) => regexp.test(word));
    if (candidates.length === 0)
      throw new Error(`no text comes to mind that fits ${pattern}; write examples beside the pattern`);
    return candidates[draw(candidates.length)]!;
  }
  const formatted = format === undefined ? undefined : formats[format];
  if (formatted) return formatted(draw);
  const text = `${words[draw(words.length)]!}${draw(1_000)}`.padEnd(minLength, 'x');
  return text.slice(0, maxLength);
}

/** The same values every time: a small generator of Marsaglia's (xorshift32). */
export function seeded(seed: number): Draw {
  let state = seed | 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}
