import { z } from 'zod';
import { duration } from '#upstreams/fields.ts';

const off = z.literal('off', { error: 'write off, or settings such as { maxAge: 365d }' });

const hsts = z
  .strictObject({
    maxAge: duration({ minMs: 0, maxMs: 366 * 86_400_000 })
      .prefault('365d')
      .describe('How long browsers ask for nothing but HTTPS here; `0s` makes them forget it.'),
    includeSubDomains: z.boolean().default(false).describe('Whether that holds for all hosts below, too.'),
    preload: z.boolean().default(false).describe('Whether browsers may come with it; needs the two above.'),
  })
  .refine(({ maxAge, includeSubDomains, preload }) => !preload || (includeSubDomains && maxAge >= 365 * 86_400_000), {
    path: ['preload'],
    error: 'needs includeSubDomains: true and a maxAge of at least 365d; write these, or remove it',
  });

/** A header's name, or `prefix-*` for a family of them. */
const removable = z
  .string()
  .regex(/^[!#$%&'+.^_`|~0-9A-Za-z-]+\*?$/, 'write a header name such as x-backend, or x-backend-* for a family')
  .toLowerCase()
  .refine((name) => !['content-type', 'content-length', 'content-encoding', 'transfer-encoding'].includes(name), {
    error: 'says how to read the answer; remove it',
  });

/** What answers say in their heads, and what of the inside they do not. */
export const securityHeadersSchema = z.strictObject({
  hsts: z
    .union([off, hsts])
    .prefault({})
    .describe('`Strict-Transport-Security` on what goes out over TLS, here or at a trusted proxy (RFC 6797).'),
  nosniff: z
    .boolean()
    .default(true)
    .describe('`X-Content-Type-Options: nosniff`: browsers take the content for what it says it is.'),
  remove: z
    .array(removable)
    .max(100, 'write at most 100 names')
    .default([])
    .describe(
      "Headers of upstreams' answers that stay inside, by name or `prefix-*`. `Server`, `X-Powered-By` and `x-weir-*` always do.",
    ),
});

export type SecurityHeadersSettings = z.output<typeof securityHeadersSchema>;
