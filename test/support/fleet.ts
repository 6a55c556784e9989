import { Client } from 'undici';
import { GatewayProgram, type GatewayProgramOptions, type LogLine } from './gateway-program.ts';
import { send, until } from './raw-client.ts';

interface Status {
  readonly problems: readonly string[];
  readonly processes: readonly { readonly pid: number; readonly phase: string }[];
}

export async function statusOf(gateway: GatewayProgram): Promise<Status> {
  return (await gateway.admin('/admin/status')).json() as unknown as Status;
}

/** Waits until so many processes answer that they are ready. @returns their ids */
export async function readyWorkers(gateway: GatewayProgram, count: number): Promise<number[]> {
  let ready: number[] = [];
  await until(async () => {
    const { processes } = await statusOf(gateway);
    ready = processes.filter(({ phase }) => phase === 'ready').map(({ pid }) => pid);
    return ready.length === count;
  });
  return ready;
}

/** Which process answered, by its access log. */
async function processOf(gateway: GatewayProgram, requestId: string): Promise<number> {
  return (await gateway.logged((line) => line.requestId === requestId)).pid as number;
}

/** That it is told of a death: from the fifth in a row on in other words, and with a wait before the next worker. */
export function tellsDeathOf(worker: number): (line: LogLine) => boolean {
  return ({ pid, livedMs }) => pid === worker && livedMs !== undefined;
}

let requests = 0;

/** A connection to a gateway, and the process that has it. */
export interface Connected {
  readonly client: Client;
  readonly pid: number;
}

/**
 * Opens so many connections and finds out who has them, and further ones until each of the processes has one: the busier a
 * process is, the fewer it takes. All of `path` is asked once over each.
 */
export async function connectAll(
  gateway: GatewayProgram,
  pids: readonly number[],
  count: number,
  path: string,
): Promise<Connected[]> {
  const connected = await Promise.all(Array.from({ length: count }, () => connect(gateway, path)));
  while (pids.some((each) => connected.every(({ pid }) => pid !== each))) connected.push(await connect(gateway, path));
  return connected;
}

async function connect(gateway: GatewayProgram, path: string): Promise<Connected> {
  const client = new Client(gateway.url, { pipelining: 1 });
  const id = `connect-${++requests}`;
  const answer = await client.request({ path, method: 'GET', headers: { 'x-request-id': id } });
  await answer.body.dump();
  return { client, pid: await processOf(gateway, id) };
}

/** Sends requests over connections of their own until each of the processes has answered one. */
export async function askEach(
  gateway: GatewayProgram,
  pids: readonly number[],
  path: string,
): Promise<Map<number, { readonly status: number; readonly text: string }>> {
  const answers = new Map<number, { status: number; text: string }>();
  while (pids.some((pid) => !answers.has(pid))) {
    const id = `each-${++requests}`;
    const { status, text } = await send(gateway.url + path, { headers: { 'x-request-id': id } });
    answers.set(await processOf(gateway, id), { status, text });
  }
  return answers;
}

/** A fleet of two in front of one service, under `/things`. */
export function startFleet(
  upstreamUrl: string,
  more: FleetConfig = {},
  options?: GatewayProgramOptions,
): Promise<GatewayProgram> {
  return GatewayProgram.start(fleetConfig(upstreamUrl, more), options);
}

export function fleetConfig(upstreamUrl: string, { listen, upstream, ...more }: FleetConfig = {}): object {
  return {
    listen: { workers: 2, ...listen },
    // A test may hold an answer back for as long as it takes, on a busy machine too.
    upstreams: { things: { endpoints: [upstreamUrl], timeout: '2m', attemptTimeout: '2m', ...upstream } },
    routes: [{ path: '/things{/*rest}', upstream: 'things', methods: ['GET', 'POST'] }],
    ...more,
  };
}

export interface FleetConfig {
  readonly listen?: object;
  readonly upstream?: object;
  readonly [key: string]: unknown;
}
