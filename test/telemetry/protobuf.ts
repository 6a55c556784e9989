/** Reads protobuf by a schema given as data: as much of it as OTLP needs, and independent of what writes it. */

export type Message = { readonly [field: string]: unknown };

type Scalar = 'string' | 'bytes' | 'bool' | 'varint' | 'fixed32' | 'fixed64' | 'double';

/** By field number: the name, what it holds, and whether it may repeat (numbers then come packed). */
export interface Schema {
  readonly [field: number]: readonly [name: string, type: Scalar | (() => Schema), repeated?: 'repeated'];
}

export function decode(bytes: Buffer, schema: Schema): Message {
  const message: Record<string, unknown> = {};
  for (const number in schema) if (schema[number]?.[2]) message[schema[number][0]] = [];
  let at = 0;
  while (at < bytes.length) {
    const [tag, afterTag] = varint(bytes, at);
    const wire = Number(tag & 7n);
    const field = schema[Number(tag >> 3n)];
    const [from, to] = extent(bytes, afterTag, wire);
    at = to;
    if (!field) continue;
    const [name, type, repeated] = field;
    const part = bytes.subarray(from, to);
    const values = repeated && wire === 2 && typeof type === 'string' ? unpack(part, type) : [read(part, type)];
    if (repeated) (message[name] as unknown[]).push(...values);
    else message[name] = values[0];
  }
  return message;
}

function varint(bytes: Buffer, from: number): [bigint, number] {
  let value = 0n;
  for (let at = from, shift = 0n; ; at++, shift += 7n) {
    const byte = bytes[at];
    if (byte === undefined) throw new Error('protobuf breaks off in a varint');
    value |= BigInt(byte & 0x7f) << shift;
    if (byte < 0x80) return [value, at + 1];
  }
}

function extent(bytes: Buffer, from: number, wire: number): [number, number] {
  switch (wire) {
    case 0:
      return [from, varint(bytes, from)[1]];
    case 1:
      return [from, from + 8];
    case 2: {
      const [length, start] = varint(bytes, from);
      return [start, start + Number(length)];
    }
    case 5:
      return [from, from + 4];
    default:
      throw new Error(`protobuf has no wire type ${wire}`);
  }
}

function read(part: Buffer, type: Scalar | (() => Schema)): unknown {
  switch (type) {
    case 'string':
      return part.toString('utf8');
    case 'bytes':
      return part.toString('hex');
    case 'bool':
      return part[0] === 1;
    case 'varint':
      return Number(BigInt.asIntN(64, varint(part, 0)[0]));
    case 'fixed32':
      return part.readUInt32LE();
    case 'fixed64':
      return part.readBigUInt64LE();
    case 'double':
      return part.readDoubleLE();
    default:
      return decode(part, type());
  }
}

function unpack(part: Buffer, type: Scalar): unknown[] {
  if (type === 'string' || type === 'bytes') return [read(part, type)];
  const values: unknown[] = [];
  for (let at = 0; at < part.length; at += 8) values.push(read(part.subarray(at, at + 8), type));
  return values;
}
