import { startServer } from './upstream.ts';

/** An instance as it is registered with its agent, in the words of Consul's API. */
export interface ConsulInstance {
  readonly id: string;
  /** Of the service; empty: it is at its node's. */
  readonly address?: string;
  readonly nodeAddress?: string;
  readonly port: number;
  readonly tags?: readonly string[] | null;
  readonly weights?: { readonly Passing: number; readonly Warning: number };
  readonly status?: 'passing' | 'warning' | 'critical';
}

export interface ConsulQuery {
  readonly path: string;
  readonly parameters: URLSearchParams;
  readonly token: string | undefined;
}

export interface TestConsul {
  readonly url: string;
  readonly queries: ConsulQuery[];
  /** Queries that are being held. */
  readonly held: number;
  /** Registers a service anew; queries that wait for it are answered. */
  register(service: string, instances: readonly ConsulInstance[]): void;
  /** What `X-Consul-Index` says instead of the truth. */
  index: number | string | undefined;
  /** Answers with this status instead. */
  status: number;
  /** Answers with these bytes instead. */
  body: string | undefined;
  /** Calls with another token are refused with 403. */
  token: string | undefined;
  /** As after a restored snapshot: the index starts anew below where it was. */
  restore(): void;
  close(): Promise<void>;
}

/**
 * A stand-in for a Consul agent: `/v1/health/service/:service` as documented, with blocking queries. Like the real one it
 * holds a query while its index is the current one, up to `wait` (5m by default, at most 10m) and a sixteenth more.
 */
export async function startConsul(): Promise<TestConsul> {
  const services = new Map<string, readonly ConsulInstance[]>();
  const queries: ConsulQuery[] = [];
  const waiting = new Set<() => void>();
  let index = 10;
  const wake = () => [...waiting].forEach((answer) => answer());
  const server = await startServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url!, 'http://consul');
    const token = request.headers['x-consul-token']?.toString();
    queries.push({ path: pathname, parameters: searchParams, token });
    const service = decodeURIComponent(/^\/v1\/health\/service\/([^/]+)$/.exec(pathname)?.[1] ?? '');
    const answer = () => {
      clearTimeout(timer);
      waiting.delete(answer);
      const passing = searchParams.has('passing') && searchParams.get('passing') !== 'false';
      const tags = searchParams.getAll('tag');
      const instances = (services.get(service) ?? []).filter(
        (instance) =>
          (!passing || (instance.status ?? 'passing') === 'passing') &&
          tags.every((tag) => instance.tags?.includes(tag)),
      );
      response.writeHead(consul.status, {
        'content-type': 'application/json',
        'x-consul-index': String(consul.index ?? index),
        'x-consul-knownleader': 'true',
        'x-consul-lastcontact': '0',
      });
      response.end(consul.body ?? JSON.stringify(instances.map((instance) => entry(service, instance))));
    };
    let timer: NodeJS.Timeout | undefined;
    if (service === '') {
      response.writeHead(404).end();
      return;
    }
    if (consul.token !== undefined && token !== consul.token) {
      response.writeHead(403).end('Permission denied: token with AccessorID lacks permission');
      return;
    }
    const asked = Number(searchParams.get('index') ?? 0);
    // Blocks only while nothing has happened since; an index of 0 never blocks.
    if (asked > 0 && asked === Number(consul.index ?? index) && consul.status === 200) {
      const waitMs = durationMs(searchParams.get('wait') ?? '5m');
      timer = setTimeout(answer, Math.min(waitMs, 600_000) * (1 + Math.random() / 16));
      waiting.add(answer);
      response.once('close', () => {
        clearTimeout(timer);
        waiting.delete(answer);
      });
    } else {
      answer();
    }
  });
  const consul: TestConsul = {
    url: server.url,
    queries,
    get held() {
      return waiting.size;
    },
    register(service, instances) {
      services.set(service, instances);
      index += 7;
      wake();
    },
    index: undefined,
    status: 200,
    body: undefined,
    token: undefined,
    restore() {
      index = 3;
      wake();
    },
    close: () => server.close(),
  };
  return consul;
}

/** Go's durations, as far as they are asked for. */
function durationMs(text: string): number {
  const [, number, unit] = /^(\d+)(ms|s|m)$/.exec(text) ?? [];
  return Number(number) * { ms: 1, s: 1000, m: 60_000 }[unit as 'ms' | 's' | 'm'];
}

/** https://developer.hashicorp.com/consul/api-docs/health#list-service-instances-for-service, the sample response. */
function entry(service: string, instance: ConsulInstance): object {
  const {
    id,
    address = '',
    nodeAddress = '127.0.0.1',
    port,
    tags = [],
    weights = { Passing: 1, Warning: 1 },
  } = instance;
  const status = instance.status ?? 'passing';
  return {
    Node: {
      ID: '40e4a748-2192-161a-0510-9bf59fe950b5',
      Node: `node-${id}`,
      Address: nodeAddress,
      Datacenter: 'dc1',
      TaggedAddresses: { lan: nodeAddress, wan: nodeAddress },
      Meta: { instance_type: 't2.medium' },
    },
    Service: {
      ID: id,
      Service: service,
      Tags: tags,
      Address: address,
      TaggedAddresses: { lan: { address, port } },
      Meta: { redis_version: '4.0' },
      Port: port,
      Weights: weights,
      Namespace: 'default',
    },
    Checks: [
      {
        Node: `node-${id}`,
        CheckID: `service:${id}`,
        Name: `Service '${service}' check`,
        Status: status,
        Notes: '',
        Output: '',
        ServiceID: id,
        ServiceName: service,
        ServiceTags: tags,
      },
      {
        Node: `node-${id}`,
        CheckID: 'serfHealth',
        Name: 'Serf Health Status',
        Status: 'passing',
        Notes: '',
        Output: '',
        ServiceID: '',
        ServiceName: '',
        ServiceTags: [],
      },
    ],
  };
}
