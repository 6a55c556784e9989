/** What the gateway is flooded with. Each workload has an upstream that answers from memory and one good answer. */
import { mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { oneClient } from '../one-client.ts';
import { freePort } from '../ports.ts';
import { Running } from '../processes.ts';
import type { Run } from '../scenario.ts';
import { node } from '../subjects/node.ts';
import { fixedAnswer, startFixedUpstream } from '../upstreams/fixed.ts';
import { startUpstream } from '../upstreams/upstream.ts';
import type { Kind } from './orders.ts';
import { parts, things } from './things.ts';

export interface Workload {
  readonly name: string;
  readonly title: string;
  /** Connections that measure what the gateway can do: enough to keep it busy, and no more. */
  readonly connections: number;
  /** @returns the gateway's configuration, all but its listeners */
  readonly prepare: (run: Run, stack: AsyncDisposableStack) => Promise<Readonly<Record<string, unknown>>>;
  readonly requests: readonly Omit<Kind, 'answerBytes'>[];
}

/** A gateway that takes the workload. */
export interface Subject {
  readonly process: Running;
  readonly port: number;
  readonly adminUrl: string;
  readonly kinds: readonly Kind[];
}

const post = (field: string) => {
  const body = JSON.stringify({ query: `{ ${field} { id name parts { id label } } }` });
  // Identical reads in flight are sent once; with a deadline of its own each request pays for all its calls.
  const fields = ['host: bench', 'content-type: application/json', 'x-weir-deadline-ms: 60000'];
  return `POST /graphql HTTP/1.1\r\n${fields.join('\r\n')}\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
};

async function prepareGraphql(run: Run, stack: AsyncDisposableStack, folder: string) {
  const answers = await mkdtemp(join(run.folder, 'answers-'));
  await writeFile(join(answers, 'things'), JSON.stringify(things));
  await writeFile(join(answers, 'parts'), JSON.stringify(parts));
  const upstream = await startUpstream(run, stack, {
    http: '  open_file_cache max=10 inactive=1h;\n  sendfile on;',
    locations: `    location / { root ${answers}; }`,
  });
  return {
    modules: join(import.meta.dirname, '../../test/fixtures', folder),
    upstreams: { things: { endpoints: [upstream.origin], maxInFlight: 10_000, maxConnections: 256 } },
  };
}

async function preparePassThrough(run: Run, stack: AsyncDisposableStack) {
  const { origin } = await startFixedUpstream(run, stack);
  return {
    upstreams: { items: { endpoints: [origin], maxInFlight: 10_000, maxConnections: 256 } },
    routes: [{ path: '/items{/*rest}', upstream: 'items' }],
  };
}

export const workloads: readonly Workload[] = [
  {
    name: 'graphql',
    title: 'GraphQL, all of one criticality',
    connections: 32,
    prepare: (run, stack) => prepareGraphql(run, stack, 'things/plain'),
    requests: [{ name: 'default', text: post('things'), share: 1 }],
  },
  {
    name: 'mixed',
    title: 'GraphQL, one in ten operations critical, six default, three sheddable',
    connections: 32,
    prepare: (run, stack) => prepareGraphql(run, stack, 'things'),
    requests: [
      { name: 'critical', text: post('vital'), share: 0.1 },
      { name: 'default', text: post('things'), share: 0.6 },
      { name: 'sheddable', text: post('spare'), share: 0.3 },
    ],
  },
  {
    name: 'get',
    title: 'Pass-through, answers of 1 KiB',
    connections: 64,
    prepare: preparePassThrough,
    requests: [
      {
        name: 'default',
        text: 'GET /items/1 HTTP/1.1\r\nhost: bench\r\nx-weir-deadline-ms: 60000\r\n\r\n',
        share: 1,
      },
    ],
  },
];

/** Starts the gateway as its command does, and learns what the good answers are. */
export async function startSubject(run: Run, stack: AsyncDisposableStack, workload: Workload): Promise<Subject> {
  const [port, adminPort] = [await freePort(), await freePort()];
  const file = join(await mkdtemp(join(run.folder, 'weir-')), 'gateway.yaml');
  const listeners = { listen: { port, drainDelay: '0s' }, admin: { port: adminPort } };
  const [{ folder }] = run.checkouts as [Run['checkouts'][number]];
  const config = { ...oneClient(folder), ...(await workload.prepare(run, stack)), ...listeners };
  await writeFile(file, JSON.stringify(config, undefined, 2));
  const command = node(join(folder, 'gateway/main.ts'), 'start', '--config', file);
  const process = await Running.start({ name: 'Weir', command, core: run.cores.subject }, port);
  stack.defer(() => process.stop());
  const kinds: Kind[] = [];
  for (const request of workload.requests) {
    kinds.push({ ...request, answerBytes: await process.ask(() => probe(port, request.text)) });
  }
  return { process, port, adminUrl: `http://127.0.0.1:${adminPort}`, kinds };
}

/** One request. @returns the length of its answer @throws {Error} when that is not good */
async function probe(port: number, text: string): Promise<number> {
  const [head = '', body] = text.split('\r\n\r\n');
  const [line = '', ...fields] = head.split('\r\n');
  const [method = '', path = ''] = line.split(' ');
  const headers = Object.fromEntries(fields.map((field) => field.split(': ') as [string, string]));
  delete headers.host;
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { method, headers, ...(body && { body }) });
  const answer = await response.text();
  const good = response.status === 200 && (answer === fixedAnswer || answer.includes('Part 11 of thing-39'));
  if (!good) throw new Error(`It answers ${line} with ${response.status} ${answer.slice(0, 300)}`);
  return Buffer.byteLength(answer);
}
