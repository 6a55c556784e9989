import { constants, crc32, zstdCompress, zstdDecompress, zstdDecompressSync } from 'node:zlib';
import { promisify } from 'node:util';
import type { Headers } from '#core/headers.ts';
import type { Storing } from '#upstreams/cache/storing.ts';

/** The layout of records. Whoever changes it counts on: the number stands in the key of every entry, so that nobody reads another's. */
export const format = 2;

/** An answer as it leaves the store and goes into it. */
export interface Stored {
  readonly status: number;
  readonly body: Buffer;
  readonly tags: readonly string[];
  /** As of an entry. */
  readonly shown: readonly string[];
  readonly terms: Storing;
}

/** What stands in the place of an answer that there are several of: the request fields that tell which. */
export interface Varied {
  readonly vary: readonly string[];
}

/** What a record is about; of another it must not be taken. */
export interface Seal {
  /** Of the path, as it was when the answer was asked for. 16 bytes, at {@link leaseOffset}. */
  readonly lease: Buffer;
  /** A digest of whose answer it is to what. 32 bytes. */
  readonly identity: Buffer;
}

/*
 * A record: check sum of all that follows (4), format (1), kind (1), nothing (2), length of the body unpacked (4), length of the
 * head (4), lease (16), identity (32), the head as JSON, the body.
 */
export const leaseOffset = 16;
const identityOffset = 32;
const headOffset = 64;

const plain = 0;
const packed = 1;
const varied = 2;

/** Shorter ones do not pay. */
const minPackedBytes = 1_024;
/** Nor do those that stay nearly as long. */
const worthwhile = 0.9;
/** What takes longer to unpack does not hold up everybody else. */
const maxSyncBytes = 64 * 1024;
/** Of all fields together. Node's own bound for what it takes from an upstream is lower. */
const maxHeadBytes = 256 * 1024;

/** Of a record whose body has at most so many bytes. */
export function largestRecord(maxEntryBytes: number): number {
  return headOffset + maxHeadBytes + maxEntryBytes;
}

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);
const fast = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };

/** An answer as a record; its body is compressed where that pays. */
export async function encode({ status, body, tags, shown, terms }: Stored, seal: Seal): Promise<Buffer> {
  const { headers, ...rest } = terms;
  const head = Buffer.from(JSON.stringify({ status, tags, shown, headers, ...rest }));
  const short = body.length < minPackedBytes || headers['content-encoding'] !== undefined;
  const smaller = short ? body : await compress(body, fast);
  const pays = smaller.length < body.length * worthwhile;
  return record(pays ? packed : plain, seal, head, body.length, pays ? smaller : body);
}

export function encodeVaried({ vary }: Varied, seal: Seal): Buffer {
  return record(varied, seal, Buffer.from(JSON.stringify({ vary })), 0, nothing);
}

const nothing = Buffer.alloc(0);

function record(kind: number, seal: Seal, head: Buffer, bodyBytes: number, body: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(headOffset + head.length + body.length);
  bytes[4] = format;
  bytes[5] = kind;
  bytes.writeUInt16BE(0, 6);
  bytes.writeUInt32BE(bodyBytes, 8);
  bytes.writeUInt32BE(head.length, 12);
  seal.lease.copy(bytes, leaseOffset);
  seal.identity.copy(bytes, identityOffset);
  head.copy(bytes, headOffset);
  body.copy(bytes, headOffset + head.length);
  bytes.writeUInt32BE(crc32(bytes.subarray(4)), 0);
  return bytes;
}

/**
 * What a record holds; undefined for one that is not whole, of another format, about something else, or larger than
 * `maxBytes`. Nothing in it is believed before its check sum is right, and no length before it is within bounds.
 */
export async function decode(
  bytes: Buffer,
  seal: { readonly lease: Buffer; readonly identity: Buffer },
  maxBytes: number,
): Promise<Stored | Varied | undefined> {
  if (bytes.length < headOffset || bytes[4] !== format) return undefined;
  if (bytes.readUInt32BE(0) !== crc32(bytes.subarray(4))) return undefined;
  if (!seal.lease.equals(bytes.subarray(leaseOffset, identityOffset))) return undefined;
  if (!seal.identity.equals(bytes.subarray(identityOffset, headOffset))) return undefined;
  const kind = bytes[5];
  const bodyBytes = bytes.readUInt32BE(8);
  const bodyOffset = headOffset + bytes.readUInt32BE(12);
  if (bodyOffset > bytes.length || bodyOffset > headOffset + maxHeadBytes || bodyBytes > maxBytes) return undefined;
  const head = json(bytes.toString('utf8', headOffset, bodyOffset));
  if (!head) return undefined;
  if (kind === varied) return isTexts(head.vary) ? { vary: head.vary } : undefined;
  const stored = storedOf(head);
  if (!stored) return undefined;
  const body = await bodyOf(kind, bytes.subarray(bodyOffset), bodyBytes);
  return body && { ...stored, body };
}

async function bodyOf(kind: number | undefined, bytes: Buffer, length: number): Promise<Buffer | undefined> {
  // A window on what came over the wire would keep all of that.
  if (kind === plain) return bytes.length === length ? Buffer.from(bytes) : undefined;
  if (kind !== packed) return undefined;
  try {
    const options = { maxOutputLength: Math.max(1, length) };
    const body = length <= maxSyncBytes ? zstdDecompressSync(bytes, options) : await decompress(bytes, options);
    return body.length === length ? body : undefined;
  } catch {
    return undefined;
  }
}

type Head = Readonly<Record<string, unknown>>;

function json(text: string): Head | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function storedOf(head: Head): Omit<Stored, 'body'> | undefined {
  const { status, tags, shown, headers, vary } = head;
  const { shared, noCache, strict } = head;
  const { bornMs, lifetimeMs, staleWhileRevalidateMs, staleIfErrorMs } = head;
  if (!isNumber(status) || !Number.isInteger(status) || status < 200 || status > 999) return undefined;
  if (!isTexts(tags) || !isTexts(shown) || !isTexts(vary) || !isHeaders(headers)) return undefined;
  if (!isFlag(shared) || !isFlag(noCache) || !isFlag(strict)) return undefined;
  if (!isNumber(bornMs) || !isNumber(lifetimeMs)) return undefined;
  if (!isNumber(staleWhileRevalidateMs) || !isNumber(staleIfErrorMs)) return undefined;
  const windows = { staleWhileRevalidateMs, staleIfErrorMs };
  return { status, tags, shown, terms: { shared, bornMs, lifetimeMs, ...windows, noCache, strict, vary, headers } };
}

function isRecord(value: unknown): value is Head {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isFlag(value: unknown): value is boolean {
  return typeof value === 'boolean';
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((text) => typeof text === 'string');
}

/** RFC 9110 §5.1, §5.5: what could not have come as a field does not go out as one. */
const fieldName = /^[!#$%&'*+.^_`|~0-9a-z-]+$/;
const fieldValue = /^[\t\x20-\x7e\x80-\u{10ffff}]*$/u;

function isHeaders(value: unknown): value is Headers {
  if (!isRecord(value)) return false;
  for (const name in value) {
    const field = value[name];
    const lines = Array.isArray(field) ? field : [field];
    if (!fieldName.test(name) || !lines.every((line) => typeof line === 'string' && fieldValue.test(line)))
      return false;
  }
  return true;
}
