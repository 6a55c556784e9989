import { randomFillSync } from 'node:crypto';

/** Cryptographic randomness, drawn in bulk: to ask for each id costs several times as much. */
const bytes = Buffer.allocUnsafeSlow(16_384);
let at = bytes.length;

/**
 * Bytes that are written down at a time. An id is a window on what is written, and one that lives as long as a stream does keeps
 * all of that.
 */
const atATime = 1_024;

let digits = '';
let used = 0;

/** Hex digits of cryptographic randomness. */
export function randomHex(count: number): string {
  if (used + count > digits.length) {
    if (at === bytes.length) {
      randomFillSync(bytes);
      at = 0;
    }
    digits = bytes.toString('hex', at, (at += atATime));
    used = 0;
  }
  return digits.slice(used, (used += count));
}

/** All 16 bytes are random, so the random-trace-id flag may be set (Trace Context 2 §3.2.2.5.2). */
export function randomTraceId(): string {
  return randomHex(32);
}

export function randomSpanId(): string {
  return randomHex(16);
}
