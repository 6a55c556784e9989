import { BlockList, isIP } from 'node:net';
import { z } from 'zod';
import { count, duration, network, size } from '#upstreams/fields.ts';
import { tlsSchema } from './tls.ts';

const host = z.string().refine((text) => isIP(text) !== 0 || /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/i.test(text), {
  error: 'write an address or a host name without port and brackets, such as 127.0.0.1 or ::',
});

const port = count(0, 65_535);

/** The public listener. */
export const listenSchema = z.strictObject({
  host: host.default('127.0.0.1').describe('Address to listen at; `0.0.0.0` or `::` for all of this machine.'),
  port: port.default(4000).describe('Port to listen at; 0 takes any free one.'),
  workers: z
    .union([count(1, 256), z.literal('auto')], { error: 'write a whole number from 1 to 256, or auto' })
    .default(1)
    .describe(
      'Processes that share the port; `auto` is one for each processor. Without Redis each enforces its share of every limit, and always of what is bounded in all; one more process accepts connections, checks health, and serves operators.',
    ),
  trustedProxies: z
    .array(network())
    .max(256, 'write at most 256 entries')
    .default([])
    .describe('Addresses and CIDR blocks whose `X-Forwarded-*` is believed; from all others it is replaced.'),
  maxHeaderBytes: size({ minBytes: 1024, maxBytes: 1024 ** 2 })
    .prefault('16KiB')
    .describe('Largest header section of a request; a larger one is answered with 431.'),
  maxBodyBytes: size()
    .prefault('1MiB')
    .describe('Largest request body where the route says nothing; a larger one is answered with 413.'),
  headersTimeout: duration({ minMs: 100, maxMs: 600_000 })
    .prefault('10s')
    .describe('In which a request head must arrive whole; then the connection is closed with 408.'),
  bodyTimeout: duration({ minMs: 100, maxMs: 3_600_000 })
    .prefault('30s')
    .describe(
      'Longest wait for a client: for the next bytes of its body, then it is refused with 408; for it to read the next bytes of an answer, then its connection is closed.',
    ),
  minBytesPerSecond: size({ minBytes: 0, maxBytes: 1024 ** 3 })
    .prefault('240B')
    .describe(
      'Least rate, over `bodyTimeout`, at which a client must send a body, or read what is ready for it; `0B` asks for none.',
    ),
  keepAliveTimeout: duration({ minMs: 100, maxMs: 3_600_000 })
    .prefault('65s')
    .describe('How long an idle connection is kept; keep it above that of the load balancer in front.'),
  maxConnections: count(1, 1_000_000)
    .default(10_000)
    .describe('Open client connections, WebSockets and streams included; further ones are closed at once.'),
  maxConnectionsPerIp: count(1, 1_000_000)
    .default(1_000)
    .describe(
      'The same from one address, for IPv6 from one /64; addresses of `trustedProxies` are exempt, for they are many clients.',
    ),
  maxInFlight: count(1, 1_000_000)
    .default(4096)
    .describe(
      'Requests in flight; the next one is answered with 503 at once. Above 70 % of it `sheddable` ones are refused, above 90 % `default` ones.',
    ),
  maxEventLoopLag: duration({ minMs: 10, maxMs: 60_000 })
    .prefault('500ms')
    .describe(
      'How long the event loop may take to work off what is in flight; above that a rising share of requests is answered with 503, the least critical first.',
    ),
  drainDelay: duration({ minMs: 0, maxMs: 600_000 })
    .prefault('5s')
    .describe('How long to go on accepting after SIGTERM, until load balancers have seen that `/readyz` fails.'),
  tls: tlsSchema.optional().describe('Serve HTTPS; plain HTTP when left out. Its files are read again at a reload.'),
});

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

function isLoopback(address: string): boolean {
  const family = isIP(address);
  return family === 0 ? address.toLowerCase() === 'localhost' : loopback.check(address, family === 6 ? 'ipv6' : 'ipv4');
}

/** The listener for operators: health, metrics, `/admin`. */
export const adminSchema = z
  .strictObject({
    host: host.default('127.0.0.1').describe('Address to listen at.'),
    port: port.default(4001).describe('Port to listen at; 0 takes any free one.'),
    token: z
      .string()
      .default('')
      .describe(
        'Bearer token that `/admin` and `/metrics` ask for; empty asks for none. Required where `host` is not loopback.',
      ),
  })
  .refine(({ host: address, token }) => token !== '' || isLoopback(address), {
    path: ['token'],
    error:
      'is required, for admin.host is not a loopback address; write token: "${env.WEIR_ADMIN_TOKEN}", or host: 127.0.0.1',
    when: ({ value }) => z.object({ host: z.string(), token: z.string() }).safeParse(value).success,
  });

export type ListenSettings = z.output<typeof listenSchema>;

export type AdminSettings = z.output<typeof adminSchema>;
