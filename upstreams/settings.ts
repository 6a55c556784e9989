import { z } from 'zod';
import { count, duration, notBuilt, size } from './fields.ts';

const httpUrl = z.url({ protocol: /^https?$/, error: 'write an http:// or https:// URL' }).refine(
  (text) => {
    const url = URL.parse(text);
    return url !== null && (url.pathname === '/' || url.pathname === '') && !url.search && !url.hash && !url.username;
  },
  { error: 'write scheme, host and port only; paths belong to routes and modules' },
);

const endpoint = z.union([
  httpUrl.transform((url) => ({ url, weight: 1, labels: {} as Record<string, string> })),
  z.strictObject({
    url: httpUrl.describe('Scheme, host and port, such as `http://127.0.0.1:5002`.'),
    weight: count(0, 1000).default(1).describe('Share of the calls, relative to the other endpoints; 0 takes none.'),
    labels: z.record(z.string(), z.string()).default({}).describe('Free labels that routes select by.'),
  }),
]);

const status = count(400, 599);

/** One upstream: where it runs, and how much it may be asked. Each key's default is that of DESIGN.md's contract. */
export const upstreamSchema = z.strictObject({
  endpoints: z
    .array(endpoint)
    .min(1, 'name at least one endpoint')
    .max(256)
    .describe('Addresses of the service: URLs, or { url, weight, labels }.'),
  discovery: notBuilt(),
  balance: z
    .enum(['round-robin'], { error: "only 'round-robin' is built yet" })
    .default('round-robin')
    .describe('How an endpoint is chosen for a call.'),
  identity: z
    .enum(['none', 'headers'], { error: "only 'none' and 'headers' are built yet" })
    .default('headers')
    .describe('What the upstream is shown of the caller: nothing, or the x-weir-* headers.'),
  timeout: duration().prefault('30s').describe('For one call with its retries, up to the final response head.'),
  connectTimeout: duration().prefault('2s').describe('For a TCP and TLS connection.'),
  idleTimeout: duration().prefault('60s').describe('Between two bytes of a body, a stream or a WebSocket.'),
  attemptTimeout: duration().prefault('5s').describe('For one attempt, up to its response head.'),
  retry: z
    .strictObject({
      attempts: count(0, 10).default(2).describe('Retries after the first attempt; 0 turns them off.'),
      backoff: duration()
        .prefault('50ms')
        .describe('Upper bound of the first wait; it doubles each time, with full jitter.'),
      maxBackoff: duration().prefault('1s').describe('Upper bound of any wait.'),
      budget: z
        .number()
        .min(0)
        .max(10)
        .default(0.2)
        .describe('Retries per request over time, as a share: 0.2 adds at most 20 % load.'),
      on: z
        .array(status)
        .default([502, 503, 504])
        .describe('Statuses that are retried, besides connection errors and attempt timeouts.'),
    })
    .prefault({})
    .describe('Tries again what can be tried safely: idempotent methods whose body is held.'),
  breaker: z
    .strictObject({
      failures: count(1, 10_000).default(5).describe('Consecutive failures that open the breaker.'),
      within: duration().prefault('30s').describe('Failures further apart than this are not consecutive.'),
      openFor: duration().prefault('30s').describe('How long an open breaker refuses before it lets probes through.'),
      successes: count(1, 100).default(3).describe('Probes that must succeed before it closes.'),
      on: z
        .array(status)
        .default([500, 502, 503, 504])
        .describe('Statuses that count as failures, besides connection errors and attempt timeouts.'),
    })
    .prefault({})
    .describe('Refuses calls at once to an upstream that keeps failing.'),
  health: z
    .strictObject({
      path: z
        .string()
        .startsWith('/', 'write a path such as /health')
        .describe('Asked of every endpoint; a 2xx is healthy.'),
      every: duration({ minMs: 100 }).prefault('5s').describe('Between two checks of one endpoint.'),
      timeout: duration().prefault('5s').describe('For one check.'),
      healthyAfter: count(1, 100).default(2).describe('Good checks in a row before an endpoint is used again.'),
      unhealthyAfter: count(1, 100).default(3).describe('Failed checks in a row before an endpoint is left out.'),
    })
    .optional()
    .describe('Active health checks; none when left out.'),
  maxInFlight: count(1, 1_000_000)
    .default(256)
    .describe('Calls in flight at once; the next one fails at once with UPSTREAM_OVERLOADED.'),
  maxConnections: count(1, 65_536)
    .default(128)
    .describe('Connections to all endpoints together, streams and WebSockets included.'),
  maxResponseBytes: size()
    .prefault('10MiB')
    .describe('Of an answer that the gateway buffers; streams are not bounded by it.'),
  tls: z
    .strictObject({
      ca: z.string().optional().describe('PEM file of the CA that signs the upstream, instead of the public ones.'),
      cert: z.string().optional().describe('PEM file of the client certificate shown to the upstream.'),
      key: z.string().optional().describe('PEM file of its key.'),
      serverName: z.string().optional().describe("Name to verify, where it is not the endpoint's host."),
    })
    .refine((tls) => (tls.cert === undefined) === (tls.key === undefined), {
      error: 'cert and key belong together; write both or neither',
    })
    .optional()
    .describe('For https endpoints.'),
  weight: notBuilt(),
});

/** As the program reads it: durations in milliseconds, sizes in bytes. */
export type UpstreamSettings = z.output<typeof upstreamSchema>;

/** As a module or `gateway.yaml` writes it. */
export type UpstreamInput = z.input<typeof upstreamSchema>;
