import { z } from 'zod';
import { count, size } from '#upstreams/fields.ts';

const algorithm = z.enum(['br', 'zstd', 'gzip']);

/** A content coding (RFC 9110 §8.4.1) that the gateway makes. */
export type Algorithm = z.output<typeof algorithm>;

/** `type/subtype`, `type/*` or `type/*+suffix`. */
const mediaType = z
  .string()
  .regex(
    /^[a-z0-9.-]+\/(\*|\*\+[a-z0-9.-]+|[a-z0-9][a-z0-9.+-]*)$/i,
    'write a media type without parameters, such as application/json, text/* or application/*+json',
  )
  .toLowerCase();

const text: readonly string[] = [
  'text/*',
  'application/json',
  'application/*+json',
  'application/xml',
  'application/*+xml',
  'application/javascript',
  'application/x-ndjson',
  'application/jsonl',
  'application/yaml',
  'application/wasm',
  'image/svg+xml',
  'font/otf',
  'font/ttf',
];

/** Bounds on what one answer may cost: higher levels take many times as long for a few per cent. */
const level = {
  br: () => count(0, 9),
  zstd: () => count(1, 12),
  gzip: () => count(1, 9),
};

const types = () => z.array(mediaType).max(100, 'write at most 100 types');
const algorithms = () => z.array(algorithm).min(1, 'name at least one, or write compression: off');
const minBytes = () => size({ minBytes: 0 });

const about = {
  minBytes: 'Smallest content that is compressed, where its length is known.',
  types: 'Media types that are compressed; `type/*` and `type/*+suffix` stand for many.',
  algorithms: 'Content codings by preference, which decides between those that a client likes equally.',
  level: 'Effort by algorithm: more makes answers smaller and takes longer.',
};

const compression = z.strictObject({
  minBytes: minBytes().prefault('1KiB').describe(about.minBytes),
  types: types()
    .default([...text])
    .describe(about.types),
  algorithms: algorithms().default(['br', 'zstd', 'gzip']).describe(about.algorithms),
  level: z
    .strictObject({
      br: level.br().default(4).describe('Brotli.'),
      zstd: level.zstd().default(3).describe('Zstandard.'),
      gzip: level.gzip().default(6).describe('Gzip.'),
    })
    .prefault({})
    .describe(about.level),
});

const off = z.literal('off', { error: 'write off, or settings such as { minBytes: 1KiB }' });

/** Compression of answers, for whoever asks for it (RFC 9110 §12.5.3). */
export const compressionSchema = z.union([off, compression]);

const routeCompression = z.strictObject({
  minBytes: minBytes().optional().describe(about.minBytes),
  types: types().optional().describe(about.types),
  algorithms: algorithms().optional().describe(about.algorithms),
  level: z
    .strictObject({
      br: level.br().optional().describe('Brotli.'),
      zstd: level.zstd().optional().describe('Zstandard.'),
      gzip: level.gzip().optional().describe('Gzip.'),
    })
    .optional()
    .describe(about.level),
});

/** The same for one route; what is left out is as `compression` has it for all. */
export const routeCompressionSchema = z.union([off, routeCompression]);

export type CompressionSettings = z.output<typeof compression>;

/** @returns undefined for a route that says nothing of its own */
export function compressionFor(
  general: z.output<typeof compressionSchema>,
  own: z.output<typeof routeCompressionSchema> | undefined,
): CompressionSettings | 'off' | undefined {
  if (own === undefined || own === 'off') return own;
  const base = general === 'off' ? compression.parse({}) : general;
  return { ...base, ...own, level: { ...base.level, ...own.level } } as CompressionSettings;
}
