import { z } from 'zod';
import { duration, headerName, method } from '#upstreams/fields.ts';

/**
 * Origins are compared as text with the `Origin` header (RFC 6454 §6.2), so each is written exactly as browsers send it:
 * scheme and host in lower case, no default port, no path. `*` as the port stands for any port, and none.
 */
const origin = z.string().refine(isOrigin, {
  error:
    'write an origin as browsers send it, without path and default port, such as https://app.example.com, http://localhost:* or "*"',
});

function isOrigin(text: string): boolean {
  if (text === '*') return true;
  const exact = text.endsWith(':*') ? text.slice(0, -2) : text;
  // Apps and extensions have schemes of their own, whose origin the URL standard leaves opaque.
  if (!/^https?:/.test(exact)) return /^[a-z][a-z0-9+.-]*:\/\/[a-z0-9.-]+$/.test(exact);
  return URL.parse(exact)?.origin === exact;
}

/** Which pages of other origins may read answers (Fetch standard, CORS protocol). */
export const corsSchema = z
  .strictObject({
    origins: z
      .array(origin)
      .max(1000, 'write at most 1000 origins')
      .default([])
      .describe(
        'Origins whose pages may read answers: exact ones, `http://localhost:*` for any port, `*` for all; none turns CORS off.',
      ),
    credentials: z
      .boolean()
      .default(false)
      .describe('Whether browsers may send cookies and `Authorization`; never together with `*`.'),
    methods: z
      .array(method())
      .default(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'])
      .describe('Methods that a preflight allows.'),
    allowHeaders: z
      .array(headerName())
      .default([])
      .describe('Request headers that a preflight allows; empty: those it asks for.'),
    exposeHeaders: z
      .array(headerName())
      .default(['x-request-id', 'traceparent', 'retry-after', 'ratelimit', 'ratelimit-policy', 'deprecation', 'sunset'])
      .describe('Response headers that a page may read, besides those the Fetch standard always shows.'),
    maxAge: duration({ minMs: 0, maxMs: 86_400_000 })
      .prefault('10m')
      .describe('How long a browser may keep the answer to a preflight.'),
  })
  .refine(({ origins, credentials }) => !(credentials && origins.includes('*')), {
    path: ['credentials'],
    error:
      'cannot be true while origins has "*", which would hand every page the credentials of its visitor; name the origins',
    when: ({ value }) => z.object({ origins: z.array(z.string()), credentials: z.boolean() }).safeParse(value).success,
  });

export type CorsSettings = z.output<typeof corsSchema>;
