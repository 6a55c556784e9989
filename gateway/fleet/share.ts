import { availableParallelism } from 'node:os';
import type { GatewayConfig } from '#gateway/config/schema.ts';
import { perCall } from '#core/price.ts';
import { limitLists } from '#policies/limits/problems.ts';
import type { ListenSettings } from '#gateway/http/settings.ts';
import type { Project } from '#gateway/project.ts';

/** How many processes the configuration asks for. */
export function workersOf({ workers }: ListenSettings): number {
  return workers === 'auto' ? availableParallelism() : workers;
}

/** What bounds the gateway as a whole, or what it asks of a service: each worker enforces its share. */
const ofListen = ['maxConnections', 'maxConnectionsPerIp', 'maxInFlight'] as const;
const ofUpstream = ['maxConnections', 'maxInFlight'] as const;

/** Bounds that cannot be shared by so many workers, as sentences. */
export function shareProblems({ loaded: { config, sources } }: Project): string[] {
  const workers = workersOf(config.listen);
  const { listen, upstreams, graphql, redis } = config;
  const bounds = [
    ...ofListen.map((key) => ({ path: ['listen', key], total: listen[key] })),
    { path: ['graphql', 'subscriptions', 'maxOpen'], total: graphql.subscriptions.maxOpen },
    ...Object.entries(upstreams).flatMap(([name, upstream]) =>
      ofUpstream.map((key) => ({ path: ['upstreams', name, key], total: upstream[key] })),
    ),
    ...(workers > 1 ? quotas(config, redis.url !== '') : []),
  ];
  return bounds.flatMap(({ path, total }) =>
    // 0 turns a thing off, in all of them alike.
    total === 0 || total >= workers
      ? []
      : [
          `${path.join('.')} (${sources.of(path)}): ${total} is too few for ${workers} workers (listen.workers), each of ` +
            `which enforces its share. Fix: write ${workers} or more, or run fewer workers.`,
        ],
  );
}

/** Of limits: those of addresses are enforced by each worker for itself, the others where nothing is shared. */
function quotas(
  config: GatewayConfig,
  shared: boolean,
): { readonly path: (string | number)[]; readonly total: number }[] {
  const { perIp, global, tier, route, graphql } = limitLists(config);
  return [...perIp, ...(shared ? [] : [...global, ...tier, ...route, ...graphql])].flatMap(({ path, limits }) =>
    limits.map(({ quota }, index) => ({ path: [...path, index, 'quota'], total: quota / perCall })),
  );
}

/** The project as one worker runs it: rounded down, so that all of them together never hold more than is allowed. */
export function shareOf(project: Project, workers: number): Project {
  const { loaded } = project;
  const { listen, graphql, upstreams } = loaded.config;
  const share = (total: number) => Math.floor(total / workers);
  const config: GatewayConfig = {
    ...loaded.config,
    listen: withShares(listen, ofListen, share),
    graphql: { ...graphql, subscriptions: withShares(graphql.subscriptions, ['maxOpen'], share) },
    upstreams: Object.fromEntries(
      Object.entries(upstreams).map(([name, upstream]) => [name, withShares(upstream, ofUpstream, share)]),
    ),
  };
  return { ...project, loaded: { ...loaded, config } };
}

function withShares<K extends string, T extends Readonly<Record<K, number>>>(
  part: T,
  keys: readonly K[],
  share: (total: number) => number,
): T {
  return { ...part, ...Object.fromEntries(keys.map((key) => [key, share(part[key])])) };
}
