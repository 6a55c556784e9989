import {
  brotliCompressSync,
  constants,
  createBrotliCompress,
  createGzip,
  createZstdCompress,
  gzipSync,
  zstdCompressSync,
} from 'node:zlib';
import type { ContentEncoder } from '#core/reply.ts';
import type { Algorithm, CompressionSettings } from './settings.ts';

/**
 * A window (as a power of two) larger than most answers brings nothing, but is allocated for each; Brotli's own default
 * of 22 takes more than twice as long.
 */
const windowLog = 18;

/** What compresses one answer each, by algorithm: for those that end, and for those that come piece by piece. */
export type Encoders = Readonly<Record<Algorithm, { readonly whole: ContentEncoder; readonly pieces: ContentEncoder }>>;

export function encoders({ level }: CompressionSettings): Encoders {
  return {
    br: both(brotli(level.br)),
    zstd: both(zstd(level.zstd)),
    gzip: { whole: gzip({ level: level.gzip }, false), pieces: gzip({ level: level.gzip, ...small }, true) },
  };
}

/** An event stream may be open for days, and there may be thousands: 25 KiB each instead of 225. */
const small = { windowBits: 12, memLevel: 4, chunkSize: 4096 };

function both(encoder: Omit<ContentEncoder, 'flushEach'>) {
  return { whole: { ...encoder, flushEach: false }, pieces: { ...encoder, flushEach: true } };
}

function brotli(quality: number): Omit<ContentEncoder, 'flushEach'> {
  const params = { [constants.BROTLI_PARAM_QUALITY]: quality, [constants.BROTLI_PARAM_LGWIN]: windowLog };
  return {
    whole: (content) => brotliCompressSync(content, { params }),
    open: () => createBrotliCompress({ params }),
  };
}

function zstd(level: number): Omit<ContentEncoder, 'flushEach'> {
  const params = { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_windowLog]: windowLog };
  return {
    whole: (content) => zstdCompressSync(content, { params }),
    open: () => createZstdCompress({ params }),
  };
}

function gzip(options: Parameters<typeof createGzip>[0], flushEach: boolean): ContentEncoder {
  return {
    flushEach,
    whole: (content) => gzipSync(content, options),
    open: () => createGzip(options),
  };
}
