import { isUtf8 } from 'node:buffer';
import type { RequestContext } from '#core/context.ts';
import { Template } from '../template.ts';
import { Pointer } from './pointer.ts';
import type { FieldChanges } from './settings.ts';

type Fill = (context: RequestContext) => unknown;

/** Changes fields of a JSON text, and nothing else of it. */
export class FieldTransform {
  readonly #rename: readonly (readonly [Pointer, string])[];
  readonly #remove: readonly Pointer[];
  readonly #set: readonly (readonly [Pointer, Fill])[];

  constructor({ rename, remove, set }: FieldChanges) {
    this.#rename = Object.entries(rename).map(([from, to]) => [new Pointer(from), to]);
    this.#remove = remove.map((pointer) => new Pointer(pointer));
    this.#set = Object.entries(set).map(([pointer, value]) => [new Pointer(pointer), filler(value)]);
  }

  /** @throws {SyntaxError | RangeError} when it is no JSON, or nested too deep */
  apply(bytes: Buffer, context: RequestContext): Buffer {
    if (!isUtf8(bytes)) throw new SyntaxError('is not UTF-8 (RFC 8259 §8.1)');
    const root = parseExactly(bytes.toString());
    for (const [pointer, name] of this.#rename) {
      pointer.visit(root, false, (container, key) => {
        if (Array.isArray(container) || !Object.hasOwn(container, key)) return;
        const value = container[key];
        Reflect.deleteProperty(container, key);
        container[name] = value;
      });
    }
    for (const pointer of this.#remove) pointer.visit(root, false, drop);
    for (const [pointer, fill] of this.#set) {
      const value = fill(context);
      if (value === undefined) pointer.visit(root, false, drop);
      else pointer.visit(root, true, (container, key) => void ((container as Record<string, unknown>)[key] = value));
    }
    return Buffer.from(JSON.stringify(root));
  }
}

/** An item of an array stays in its place, as null, so that others keep theirs. */
function drop(container: Record<string, unknown> | unknown[], key: string): void {
  if (Array.isArray(container)) container[Number(key)] = null;
  else Reflect.deleteProperty(container, key);
}

/** Numbers that JavaScript would round (RFC 8259 §6), such as long ids, keep their digits. */
function parseExactly(text: string): unknown {
  if (!/\d{16}|\d[eE]/.test(text)) return JSON.parse(text);
  return JSON.parse(text, (_key, value: unknown, { source }: { source?: string } = {}) =>
    typeof value === 'number' && source !== undefined && String(value) !== source ? rawNumber(source) : value,
  );
}

/** Of ECMAScript 2026, which TypeScript does not know yet. */
const rawNumber = (JSON as unknown as { rawJSON: (text: string) => unknown }).rawJSON;

/** A value with templates in its texts. Where one cannot be filled there is no value. */
function filler(value: unknown): Fill {
  if (typeof value === 'string') {
    const template = new Template(value);
    return (context) => template.fill(context);
  }
  if (typeof value !== 'object' || value === null) return () => value;
  if (Array.isArray(value)) {
    const items = value.map(filler);
    return (context) => items.map((fill) => fill(context) ?? null);
  }
  const members = Object.entries(value).map(([name, child]) => [name, filler(child)] as const);
  return (context) => Object.fromEntries(members.map(([name, fill]) => [name, fill(context)] as const));
}
