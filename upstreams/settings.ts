import { z } from 'zod';
import { balanceSchema } from './balancing/settings.ts';
import { rulesSchema } from './cache/settings.ts';
import { discoverySchema, dnsSchema } from './discovery/settings.ts';
import { count, duration, headerName, httpUrl, price, size } from './fields.ts';

const endpoint = z.union([
  httpUrl().transform((url) => ({ url, weight: 1, labels: {} as Record<string, string> })),
  z.strictObject({
    url: httpUrl().describe('Scheme, host and port, such as `http://127.0.0.1:5002`.'),
    weight: count(0, 1000).default(1).describe('Share of the calls, relative to the other endpoints; 0 takes none.'),
    labels: z.record(z.string(), z.string()).default({}).describe('Free labels that routes select by.'),
  }),
]);

const status = count(400, 599);

const endpoints = z
  .array(endpoint)
  .min(1, 'name at least one endpoint')
  .max(256)
  .check(({ value, issues }) => {
    const origins = value.map(({ url }) => new URL(url).origin);
    for (const [index, origin] of origins.entries()) {
      const first = origins.indexOf(origin);
      if (first === index) continue;
      const message = `is endpoints[${first}] again; give that one a greater weight, or remove this one`;
      issues.push({ code: 'custom', message, path: [index], input: value[index] });
    }
  });

/** Exactly one of two keys; the loader says the same in its own words (`gateway/config/references.ts`). */
const eitherWay = {
  oneOf: ['endpoints', 'discovery'].map((key) => ({ type: 'object', properties: { [key]: {} }, required: [key] })),
};

/** One upstream: where it runs, and how much it may be asked. Each key's default is that of DESIGN.md's contract. */
export const upstreamSchema = z
  .strictObject({
    endpoints: endpoints
      .optional()
      .describe('Addresses of the service: URLs, or { url, weight, labels }. Either these or `discovery`.'),
    discovery: discoverySchema
      .optional()
      .describe(
        'Where the addresses are asked for, again and again, instead of being written down. A question without an answer ' +
          'leaves the last known ones in use. Nothing waits for it at boot; calls wait for the first answer, at most `connectTimeout`.',
      ),
    dns: dnsSchema.prefault({}).describe('How host names in `endpoints` are looked up.'),
    balance: balanceSchema
      .prefault('round-robin')
      .describe('How an endpoint is chosen for a call, by weight in any case.'),
    slowStart: duration({ minMs: 0, maxMs: 3_600_000 })
      .prefault('10s')
      .describe(
        'Over this time an endpoint that comes back, or joins others, goes from a tenth of its weight to all of it; 0ms turns it off.',
      ),
    ejection: z
      .strictObject({
        failures: count(0, 10_000)
          .default(5)
          .describe('Consecutive failures, as `breaker` counts them, that eject an endpoint; 0 turns ejection off.'),
        for: duration({ minMs: 10, maxMs: 86_400_000 })
          .prefault('30s')
          .describe(
            'How long the first time. Each further ejection lasts twice as long; one is forgotten for each such time in use.',
          ),
        maxFor: duration({ minMs: 10, maxMs: 86_400_000 }).prefault('5m').describe('The longest of any ejection.'),
        maxEjected: z
          .number()
          .min(0)
          .max(1)
          .default(0.5)
          .describe(
            'Share of the endpoints that may be out at once, but one may in any case if there are two; never the last that is up.',
          ),
      })
      .prefault({})
      .describe('Leaves out an endpoint whose calls keep failing, whatever its health checks say.'),
    panicThreshold: z
      .number()
      .min(0)
      .max(1)
      .default(0.25)
      .describe(
        'When less than this share of the endpoints is healthy and not ejected, all are used; in any case when none is.',
      ),
    identity: z
      .union([
        z.enum(['none', 'headers', 'token']),
        z.strictObject({
          static: z
            .record(headerName(), z.string())
            .refine((headers) => Object.keys(headers).length > 0, { error: 'write at least one header' })
            .describe('Headers of the gateway itself, such as `authorization`.'),
        }),
      ])
      .default('headers')
      .describe(
        'What the upstream is shown of the caller: `none`; `headers`, the x-weir-* headers; `token`, the token that the ' +
          'caller showed, once verified; or `{ static: { authorization: ... } }`, the same for all.',
      ),
    cookies: z
      .array(z.string().regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, 'write the name of a cookie, or * for all'))
      .max(64)
      .default([])
      .describe("Cookies of the client that REST routes pass on, by name; `'*'` for all, none when empty."),
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
          .describe(
            'Statuses that are retried, besides connection errors. An attempt that times out counts as 504, an answer that cannot be read as 502.',
          ),
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
    openapi: z
      .string()
      .optional()
      .describe(
        "The service's OpenAPI document, 3.0 or 3.1, YAML or JSON: what `/openapi.json` says of its routes, and `validate` " +
          'holds them to. Modules name theirs in code.',
      ),
    cache: rulesSchema
      .optional()
      .describe('How answers are stored where neither the upstream nor the route says it; `false`: not at all.'),
    weight: price()
      .prefault(1)
      .describe('Price of one call, in which limits of unit `cost` are counted; 0.25 and 0 are prices too.'),
  })
  .meta(eitherWay);

/** As the program reads it: durations in milliseconds, sizes in bytes. */
export type UpstreamSettings = z.output<typeof upstreamSchema>;

/** As a module or `gateway.yaml` writes it. */
export type UpstreamInput = z.input<typeof upstreamSchema>;
