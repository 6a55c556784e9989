/** Large bodies out: the catalog as lines, or as many bytes as asked for. Neither is ever in memory as a whole. */
import { Readable } from 'node:stream';

/** 2 GiB: past what a signed 32-bit length can hold, so that a gateway that has one is found out. */
export const MAX_EXPORT_BYTES = 2 ** 31;

const LINE_BYTES = 64;
const BLOCK_BYTES = 64 * 1024;

/** All lines of a block but the first, the same memory in every block: a download allocates next to nothing. */
const filler = Buffer.from(`${'weir '.repeat(12)}...\n`.repeat(BLOCK_BYTES / LINE_BYTES - 1));

/**
 * Exactly `length` bytes of text, alike every time. The first line of each block is its number, so that one that was
 * lost, doubled or swapped on the way shows in the hash.
 */
export function bytes(length: number): Readable {
  return Readable.from(partsOf(length), { objectMode: false });
}

function* partsOf(length: number): Generator<Buffer> {
  for (let block = 0; block * BLOCK_BYTES < length; block++) {
    const left = length - block * BLOCK_BYTES;
    yield Buffer.from(`block ${block}`.padEnd(LINE_BYTES - 1, '.') + '\n').subarray(0, left);
    if (left > LINE_BYTES) yield filler.subarray(0, left - LINE_BYTES);
  }
}

/** NDJSON, a line per row; how fast is up to the reader. */
export function lines(rows: Iterable<{ json: string }>): Readable {
  return Readable.from(linesOf(rows), { objectMode: false });
}

function* linesOf(rows: Iterable<{ json: string }>): Generator<Buffer> {
  for (const { json } of rows) yield Buffer.from(`${json}\n`);
}
