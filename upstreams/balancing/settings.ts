import { z } from 'zod';
import { headerName } from '#upstreams/fields.ts';

/** A cookie's name is a token (RFC 6265 §4.1.1). */
const cookieName = z.string().regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, 'write the name of a cookie, such as session');

const only = z.literal(true, { error: 'write true, or another key' });

/** What requests have in common that are to go together. */
export const hashKeySchema = z
  .union(
    [
      z.enum(['consumer', 'ip']),
      z
        .strictObject({
          header: headerName().optional().describe('Calls with the same value of this request header go together.'),
          cookie: cookieName.optional().describe("Calls with the same value of this client's cookie go together."),
          consumer: only.optional().describe('Calls of one consumer go together.'),
          ip: only.optional().describe('Calls of one client address go together.'),
        })
        .refine((written) => Object.keys(written).length === 1, {
          error: 'name exactly one of header, cookie, consumer and ip',
        }),
    ],
    { error: "write 'consumer', 'ip', { header: NAME } or { cookie: NAME }" },
  )
  .transform((written) => {
    if (typeof written === 'string') return { from: written } as const;
    if (written.header !== undefined) return { from: 'header', name: written.header } as const;
    if (written.cookie !== undefined) return { from: 'cookie', name: written.cookie } as const;
    return { from: written.consumer ? 'consumer' : 'ip' } as const;
  });

/** How an endpoint is chosen for a call. */
export const balanceSchema = z
  .union(
    [
      z.enum(['round-robin', 'least-connections']),
      z.strictObject({
        'consistent-hash': hashKeySchema.describe(
          "By `header`, `cookie`, `consumer` or `ip`; a bare `consumer` or `ip` will do. Calls without the key, an anonymous consumer's too, go round.",
        ),
      }),
    ],
    { error: "write 'round-robin', 'least-connections' or { consistent-hash: KEY }" },
  )
  .transform((written) =>
    typeof written === 'string'
      ? ({ by: written } as const)
      : ({ by: 'consistent-hash', key: written['consistent-hash'] } as const),
  );

export type BalanceSettings = z.output<typeof balanceSchema>;
export type HashKeySettings = z.output<typeof hashKeySchema>;
