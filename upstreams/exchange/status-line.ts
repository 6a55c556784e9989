import type { Socket } from 'node:net';

/** `HTTP/1.` (RFC 9112 §2.3). */
const name = Buffer.from('HTTP/1.');

/** `HTTP/1.1 200`: as far as it must be known before anything is made of an answer. */
const length = 12;

/** What an answer begins with, as far as it has come. */
export type StatusLine = { readonly status: number; readonly minor: 0 | 1 } | 'incomplete' | 'none';

/**
 * Reads the beginning of an answer. The parsers beneath both forms of the exchange take HTTP/0.9, HTTP/2.0 and RTSP/1.0 for
 * an answer; what a service of another protocol says is none (RFC 9112 §2.3).
 */
export function readStatusLine(bytes: Buffer): StatusLine {
  const known = Math.min(bytes.length, name.length);
  if (name.compare(bytes, 0, known, 0, known) !== 0) return 'none';
  if (bytes.length < length) return 'incomplete';
  const minor = bytes[7]! - zero;
  if ((minor !== 0 && minor !== 1) || bytes[8] !== 0x20) return 'none';
  const status = (bytes[9]! - zero) * 100 + (bytes[10]! - zero) * 10 + (bytes[11]! - zero);
  // That it is one of three digits is left to the parser, which says so better.
  return { status, minor };
}

const zero = 0x30;

/** Empty lines before an answer are of an old server that counts its last body wrong; both parsers pass over them too. */
export function withoutBlankLines(bytes: Buffer): Buffer {
  let start = 0;
  while (bytes[start] === 0x0d || bytes[start] === 0x0a) start++;
  return start === 0 ? bytes : bytes.subarray(start);
}

/** An answer that no client of HTTP/1.1 can go by. */
export class BrokenAnswer extends Error {
  readonly code = 'WEIR_BROKEN_ANSWER';
}

/** 1xx answers to one request that are heard out; a service that has more of them to give will never give another. */
export const maxInterim = 32;

/**
 * Looks at how the next answer on a connection begins, before its parser does, and says once whether that is HTTP.
 * @returns what ends the looking
 */
export function inspect(socket: Socket, begun: (http: boolean) => void): () => void {
  let held: Buffer | undefined;
  const look = (chunk: Buffer) => {
    held = withoutBlankLines(held ? Buffer.concat([held, chunk]) : chunk);
    const line = readStatusLine(held);
    if (line === 'incomplete') return;
    stop();
    begun(line !== 'none');
  };
  const stop = () => void socket.off('data', look);
  socket.prependListener('data', look);
  return stop;
}
