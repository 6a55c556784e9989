import { z } from 'zod';
import { duration, headerName, method } from '#upstreams/fields.ts';

/**
 * Origins are compared as text with the `Origin` header (RFC 6454 §6.2), so each is written exactly as browsers send it:
 * scheme and host in lower case, no default port, no path. `*` as the port stands for any port, and none; `*.` before a
 * host for any host below it.
 */
const origin = z.string().refine(isOrigin, {
  error:
    'write an origin as browsers send it, without path and default port, such as https://app.example.com, https://*.example.com, http://localhost:* or "*"',
});

function isOrigin(text: string): boolean {
  if (text === '*') return true;
  const exact = text.endsWith(':*') ? text.slice(0, -2) : text;
  const below = /^(https?:\/\/)\*\.(.+)$/.exec(exact);
  // All of a top-level domain is many people's.
  if (below) return below[2]!.includes('.') && isOrigin(`${below[1]}${below[2]}`);
  if (exact.includes('*')) return false;
  // Apps and extensions have schemes of their own, whose origin the URL standard leaves opaque.
  if (!/^https?:/.test(exact)) return /^[a-z][a-z0-9+.-]*:\/\/[a-z0-9.-]+$/.test(exact);
  return URL.parse(exact)?.origin === exact;
}

/** What the gateway says in headers of its own, besides what the Fetch standard always shows (§3.2.2). */
const exposed = [
  'x-request-id',
  'traceparent',
  'retry-after',
  'ratelimit',
  'ratelimit-policy',
  'x-ratelimit-limit',
  'x-ratelimit-remaining',
  'x-ratelimit-reset',
  'x-weir-cost',
  'x-weir-limit-warning',
  'x-weir-completed',
  'x-weir-missing',
  'cache-status',
  'proxy-status',
  'deprecation',
  'sunset',
  'link',
];

const origins = () => z.array(origin).max(1000, 'write at most 1000 origins');
const maxAge = () => duration({ minMs: 0, maxMs: 86_400_000 });

const about = {
  origins:
    'Origins whose pages may read answers: exact ones, `https://*.example.com` for any host below, `http://localhost:*` for any port, `*` for all; none turns CORS off.',
  credentials: 'Whether browsers may send cookies and `Authorization`; never together with `*`.',
  methods: 'Methods that a preflight allows.',
  allowHeaders: 'Request headers that a preflight allows; empty: those it asks for.',
  exposeHeaders: 'Response headers that a page may read, besides those the Fetch standard always shows.',
  maxAge: 'How long a browser may keep the answer to a preflight.',
};

const credentialsForAll =
  'cannot be true while origins has "*", which would hand every page the credentials of its visitor; name the origins';

/** Which pages of other origins may read answers (Fetch standard, CORS protocol). */
export const corsSchema = z
  .strictObject({
    origins: origins().default([]).describe(about.origins),
    credentials: z.boolean().default(false).describe(about.credentials),
    methods: z.array(method()).default(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']).describe(about.methods),
    allowHeaders: z.array(headerName()).default([]).describe(about.allowHeaders),
    exposeHeaders: z.array(headerName()).default(exposed).describe(about.exposeHeaders),
    maxAge: maxAge().prefault('10m').describe(about.maxAge),
  })
  .refine((settings) => !handsOutCredentials(settings), {
    path: ['credentials'],
    error: credentialsForAll,
    when: ({ value }) => z.object({ origins: z.array(z.string()), credentials: z.boolean() }).safeParse(value).success,
  });

export type CorsSettings = z.output<typeof corsSchema>;

/** The same for one route; what is left out is as `cors` has it for all. */
export const routeCorsSchema = z.strictObject({
  origins: origins().optional().describe(about.origins),
  credentials: z.boolean().optional().describe(about.credentials),
  methods: z.array(method()).optional().describe(about.methods),
  allowHeaders: z.array(headerName()).optional().describe(about.allowHeaders),
  exposeHeaders: z.array(headerName()).optional().describe(about.exposeHeaders),
  maxAge: maxAge().optional().describe(about.maxAge),
});

export type RouteCorsSettings = z.output<typeof routeCorsSchema>;

/** @returns undefined for a route that says nothing of its own */
export function corsFor(general: CorsSettings, own: RouteCorsSettings | undefined): CorsSettings | undefined {
  return own && ({ ...general, ...own } as CorsSettings);
}

function handsOutCredentials({
  origins: listed,
  credentials,
}: {
  readonly origins: readonly string[];
  readonly credentials: boolean;
}): boolean {
  return credentials && listed.includes('*');
}

/** What is wrong with what a route and `cors` say together; undefined when nothing is. */
export function corsProblem(general: CorsSettings, own: RouteCorsSettings | undefined): string | undefined {
  const settings = corsFor(general, own);
  return settings && handsOutCredentials(settings) ? credentialsForAll : undefined;
}
