import { Resolver } from 'node:dns';
import { z } from 'zod';
import { count, duration, httpUrl } from '#upstreams/fields.ts';

const server = z.string().refine(isServer, {
  error: 'write the IP address of a name server, with its port if that is not 53, such as 10.0.0.2:5353',
});

function isServer(text: string): boolean {
  try {
    new Resolver().setServers([text]);
    return true;
  } catch {
    return false;
  }
}

/** Labels of letters, digits, `-` and `_` (RFC 2782 names begin with `_`), at most 253 characters. */
const dnsName = z
  .string()
  .max(253)
  .regex(/^(?!.*\.\.)[A-Za-z0-9_][A-Za-z0-9._-]*$/, 'write a DNS name such as orders.svc.cluster.local');

const servers = z.array(server).max(8, 'name at most 8 servers').default([]);

const every = duration({ minMs: 100, maxMs: 86_400_000 });

const discovered = {
  scheme: z.enum(['http', 'https']).default('http').describe('How the endpoints are spoken to.'),
  host: z
    .string()
    .regex(/^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/, 'write a host name without a port')
    .optional()
    .describe(
      'The name that `Host` and TLS call the endpoints by, each with its own port. By default the `name` that was looked ' +
        'up, without its `_service._proto` labels, or the `service`.',
    ),
};

const dnsCommon = {
  ...discovered,
  every: every
    .prefault('10s')
    .describe(
      'Of `dns` and `dns-srv`: between two look-ups, give or take a tenth; after a failure sooner at first, then less and less often.',
    ),
  servers: servers.describe(
    'Of `dns` and `dns-srv`: name servers to ask instead of those of the system: IP addresses, with a port if not 53.',
  ),
};

/** Where the addresses of an upstream come from, if not from the configuration. */
export const discoverySchema = z.discriminatedUnion(
  'kind',
  [
    z.strictObject({
      kind: z.literal('dns').describe('How addresses are found: `dns`, `dns-srv` or `consul`.'),
      name: dnsName.describe('Of `dns`: absolute DNS name whose A and AAAA records are the endpoints.'),
      port: count(1, 65_535).describe('Of `dns`: where all of them listen.'),
      ...dnsCommon,
    }),
    z.strictObject({
      kind: z.literal('dns-srv'),
      name: dnsName.describe(
        'Of `dns-srv`: absolute DNS name of SRV records, such as `_http._tcp.orders.svc.cluster.local`: host, port, weight, priority.',
      ),
      ...dnsCommon,
    }),
    z.strictObject({
      kind: z.literal('consul'),
      url: httpUrl().describe('Of `consul`: the agent, such as `http://127.0.0.1:8500`.'),
      service: z
        .string()
        .min(1, 'name the service')
        .max(255)
        .describe('Of `consul`: the service, as it is registered.'),
      tag: z
        .string()
        .min(1, 'name the tag, or remove the key')
        .optional()
        .describe('Of `consul`: only instances that have it.'),
      datacenter: z
        .string()
        .min(1, 'name it, or remove the key')
        .optional()
        .describe("Of `consul`: instead of the agent's own."),
      token: z.string().optional().describe('Of `consul`: ACL token with `service:read` and `node:read`.'),
      wait: duration({ minMs: 1_000, maxMs: 600_000 })
        .prefault('5m')
        .describe('Of `consul`: how long it may hold a query in which nothing has changed.'),
      ...discovered,
    }),
  ],
  { error: "name one of the kinds: 'dns', 'dns-srv' or 'consul'" },
);

/** How the host names of endpoints that are written down are looked up. */
export const dnsSchema = z.strictObject({
  every: every
    .prefault('30s')
    .describe('Between two look-ups; when a name has other addresses, connections to the old ones are drained.'),
  servers: servers.describe(
    'Name servers to ask instead of what the system does, hosts file and search domains included.',
  ),
});

export type DiscoverySettings = z.output<typeof discoverySchema>;
export type DnsSettings = z.output<typeof dnsSchema>;
