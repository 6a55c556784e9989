import { Gateway } from '#gateway/gateway.ts';
import type { InstanceOptions } from '#gateway/instance.ts';
import { openProject } from '#gateway/project.ts';
import { send } from './raw-client.ts';

/** A gateway on free ports, its log kept line by line. */
export interface TestGateway {
  readonly url: string;
  readonly adminUrl: string;
  readonly gateway: Gateway;
  readonly log: readonly Readonly<Record<string, unknown>>[];
  /** The access log line of a request, once it is written. */
  accessOf(requestId: string): Promise<Readonly<Record<string, unknown>>>;
  stop(): Promise<void>;
}

/** What a configuration file holds, before `listen` and `admin` are given free ports. */
export type TestConfig = Readonly<Record<string, object | string>>;

export interface TestGatewayOptions {
  readonly modules?: string;
  readonly env?: Record<string, string>;
  readonly demoKeys?: InstanceOptions['demoKeys'];
}

/** @param config a configuration whose `listen` and `admin`, where it says nothing, are ports of the test's own */
export async function startGateway(
  config: string | TestConfig,
  options: TestGatewayOptions = {},
): Promise<TestGateway> {
  const log: Record<string, unknown>[] = [];
  const project = await openProject({
    config: `${process.cwd()}/test.yaml`,
    text: typeof config === 'string' ? withListeners(config) : JSON.stringify(withPorts(config)),
    modules: options.modules,
    env: options.env,
  });
  const write = (line: string) => void log.push(JSON.parse(line) as Record<string, unknown>);
  const { demoKeys } = options;
  const gateway = new Gateway(project, { logDestination: { write }, ...(demoKeys && { demoKeys }) });
  const { address, admin } = await gateway.start();
  return {
    url: `http://127.0.0.1:${address.port}`,
    adminUrl: `http://127.0.0.1:${admin.port}`,
    gateway,
    log,
    async accessOf(requestId) {
      for (;;) {
        const line = log.find((entry) => entry.msg === 'request' && entry.requestId === requestId);
        if (line) return line;
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    },
    stop: () => gateway.stop(),
  };
}

/**
 * Tests share their processes and a busy machine with each other: only those of load shedding are to see any. All requests of
 * a test come from one address, which only those of limits bound.
 */
const patient = '60s';

function withListeners(yaml: string): string {
  const listen = yaml.includes('listen:') ? '' : `listen: { port: 0, drainDelay: 0ms, maxEventLoopLag: ${patient} }\n`;
  const admin = yaml.includes('admin:') ? '' : 'admin: { port: 0 }\n';
  const limits = yaml.includes('limits:') ? '' : 'limits: { perIp: [] }\n';
  return `${listen}${admin}${limits}${yaml}`;
}

function withPorts(config: TestConfig): object {
  return {
    ...config,
    listen: { port: 0, drainDelay: '0ms', maxEventLoopLag: patient, ...(config.listen as object) },
    admin: { port: 0, ...(config.admin as object) },
    limits: { perIp: [], ...(config.limits as object) },
  };
}

/** Requests and operations that a gateway has. */
export async function inFlight({ adminUrl }: { readonly adminUrl: string }): Promise<number> {
  const status = (await send(`${adminUrl}/admin/status`)).json() as unknown as {
    readonly processes: readonly { readonly inFlight: number }[];
  };
  return status.processes[0]!.inFlight;
}

/**
 * Waits until nothing is in flight any more: no call, no connection in use or waited for, no request. What a request has
 * taken must be given back however it ended; a test that leaks runs into its timeout here.
 */
export async function untilIdle({ gateway }: TestGateway): Promise<void> {
  for (const upstream of gateway.assembly.upstreams.values()) {
    const { slots, endpoints } = upstream;
    const busy = () => [upstream.inFlight, slots.used, slots.waiting, ...endpoints.map(({ active }) => active)];
    while (busy().some((count) => count !== 0)) await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
