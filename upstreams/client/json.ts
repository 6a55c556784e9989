import { isUtf8 } from 'node:buffer';

/** Text that claims to be JSON and is not (RFC 8259). Its message is for the log: it says where, never what stands there. */
class JsonFault extends Error {
  override readonly name = 'JsonFault';
}

/** @throws {JsonFault} with the position of the first character that does not fit */
export function parseJson(bytes: Buffer): unknown {
  if (!isUtf8(bytes)) throw new JsonFault('is not UTF-8 (RFC 8259 §8.1)');
  const text = bytes.toString();
  try {
    return JSON.parse(text);
  } catch {
    // V8's own message quotes the text and often has no position.
    const position = faultPosition(text);
    const what = position >= text.length ? 'ends too early' : 'is no JSON';
    throw new JsonFault(`${what} at position ${position} of ${text.length}`);
  }
}

/** A string, in which nothing counts, or a number. */
const token = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g;

/** Whether a number of a JSON text would be written in another way once it has been read: `10.00`, `1e3`, one of 17 digits. */
export function rewritesNumbers(json: Buffer): boolean {
  for (const [text] of json.toString().matchAll(token))
    if (!text.startsWith('"') && String(Number(text)) !== text) return true;
  return false;
}

const whitespace = /[ \t\n\r]*/y;
const scalar = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;

/** Reads on as long as the text fits the grammar; only ever called on text that does not. */
function faultPosition(text: string): number {
  /** The closing brackets that are still to come. */
  const open: ('}' | ']')[] = [];
  let at = 0;
  let expected: 'value' | 'value or ]' | 'key' | 'key or }' | 'colon' | 'more or end' = 'value';
  while (true) {
    at = matchEnd(whitespace, text, at) ?? at;
    const character = text[at];
    if (character === undefined) return at;
    if (character === open.at(-1) && !['value', 'key', 'colon'].includes(expected)) {
      open.pop();
      at++;
      expected = 'more or end';
    } else if (expected === 'colon') {
      if (character !== ':') return at;
      at++;
      expected = 'value';
    } else if (expected === 'more or end') {
      if (character !== ',' || open.length === 0) return at;
      at++;
      expected = open.at(-1) === '}' ? 'key' : 'value';
    } else if (expected === 'key' || expected === 'key or }') {
      const end = stringEnd(text, at);
      if (end < 0) return ~end;
      at = end;
      expected = 'colon';
    } else if (character === '{' || character === '[') {
      open.push(character === '{' ? '}' : ']');
      at++;
      expected = character === '{' ? 'key or }' : 'value or ]';
    } else {
      const end = character === '"' ? stringEnd(text, at) : matchEnd(scalar, text, at);
      if (end === undefined) return at;
      if (end < 0) return ~end;
      at = end;
      expected = 'more or end';
    }
  }
}

function matchEnd(pattern: RegExp, text: string, at: number): number | undefined {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : undefined;
}

const escape = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;

/** The end of the string that begins here; of what is none, the complement of the position of the fault. */
function stringEnd(text: string, start: number): number {
  if (text[start] !== '"') return ~start;
  let at = start + 1;
  while (at < text.length) {
    const character = text.charCodeAt(at);
    if (character === 0x22) return at + 1;
    if (character < 0x20) return ~at;
    const end = character === 0x5c ? matchEnd(escape, text, at) : at + 1;
    if (end === undefined) return ~at;
    at = end;
  }
  return ~at;
}
