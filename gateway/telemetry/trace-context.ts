import type { Headers } from '#core/headers.ts';

/** W3C Trace Context level 2 (https://www.w3.org/TR/trace-context-2/), read and written by hand: it is on every request. */

/** §3.2.2.5.1: the caller may have recorded the trace. */
export const sampledFlag = 1;
/** §3.2.2.5.2: the right-most seven bytes of the trace id are random. */
export const randomFlag = 2;

/** What a caller says of the trace that a request belongs to. */
export interface RemoteContext {
  readonly traceId: string;
  readonly parentId: string;
  /** `sampledFlag` and `randomFlag`; others are not ours to pass on (§3.2.2.5.3). */
  readonly flags: number;
}

const version00Length = 55;
const dash = 0x2d;
const noTraceId = '0'.repeat(32);
const noSpanId = '0'.repeat(16);
const flagDigits = ['00', '01', '02', '03'];

/**
 * §3.2.2 and §3.2.4. Undefined when the header is missing, repeated or invalid: the trace then starts here. A version
 * above 00 is read as far as 00 goes.
 */
export function parseTraceparent(value: Headers[string]): RemoteContext | undefined {
  if (typeof value !== 'string' || value.length < version00Length) return undefined;
  if (value.charCodeAt(2) !== dash || value.charCodeAt(35) !== dash || value.charCodeAt(52) !== dash) return undefined;
  if (!isHex(value, 0, 2) || !isHex(value, 3, 35) || !isHex(value, 36, 52) || !isHex(value, 53, 55)) return undefined;
  if (value.length > version00Length && (value.startsWith('00') || value.charCodeAt(version00Length) !== dash)) {
    return undefined;
  }
  if (value.startsWith('ff')) return undefined;
  const traceId = value.slice(3, 35);
  const parentId = value.slice(36, 52);
  if (traceId === noTraceId || parentId === noSpanId) return undefined;
  return { traceId, parentId, flags: Number.parseInt(value.slice(53, 55), 16) & (sampledFlag | randomFlag) };
}

export function formatTraceparent(traceId: string, spanId: string, flags: number): string {
  return `00-${traceId}-${spanId}-${flagDigits[flags & (sampledFlag | randomFlag)]}`;
}

/** Lower-case hexadecimal digits only. */
function isHex(text: string, from: number, to: number): boolean {
  for (let i = from; i < to; i++) {
    const code = text.charCodeAt(i);
    if (!((code >= 0x30 && code <= 0x39) || (code >= 0x61 && code <= 0x66))) return false;
  }
  return true;
}

export function isTraceId(text: string): boolean {
  return text.length === 32 && isHex(text, 0, 32) && text !== noTraceId;
}

export function isSpanId(text: string): boolean {
  return text.length === 16 && isHex(text, 0, 16) && text !== noSpanId;
}
