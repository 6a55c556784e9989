/**
 * The clients of an upstream that may be sick. They call at a rate of their own, whether or not answers come, by turns in
 * each form that a call can take, and leave when their patience ends. Orders are the one argument; the report is one line.
 */
import { Agent, request, type ClientRequest } from 'node:http';
import type { CallersOrders, CallersReport } from './orders.ts';

const { port, name, perSecond, seconds, patienceMs } = JSON.parse(process.argv[2]!) as CallersOrders;
const agent = new Agent({ keepAlive: true });
/** Above what the gateway holds, so it is streamed. */
const upload = Buffer.alloc(96 * 1024, 'x');
const underWay = new Set<ClientRequest>();
const outcomes = new Map<string, number>();
let calls = 0;

interface Form {
  readonly method: 'GET' | 'POST';
  readonly path: (call: number) => string;
  readonly type?: string;
  readonly body?: (call: number) => string | Buffer;
}

// No two are the same, or they would be sent once for both.
const forms: readonly Form[] = [
  { method: 'GET', path: (call) => `/${name}/items/${process.pid}-${call}` },
  {
    method: 'POST',
    path: () => '/graphql',
    type: 'application/json',
    body: (call) => JSON.stringify({ query: `{ ${name}(id: "${process.pid}-${call}") { id name } }` }),
  },
  { method: 'GET', path: (call) => `/${name}/items/${process.pid}-${call}` },
  { method: 'POST', path: () => `/${name}/upload`, type: 'application/octet-stream', body: () => upload },
];

function callOnce(): void {
  const number = calls++;
  const { method, path, type, body } = forms[number % forms.length]!;
  const content = body?.(number);
  const outgoing = request({
    port,
    agent,
    method,
    path: path(number),
    headers: { ...(type !== undefined && { 'content-type': type, 'content-length': Buffer.byteLength(content!) }) },
  });
  underWay.add(outgoing);
  let left = false;
  const timer = setTimeout(() => {
    left = true;
    outgoing.destroy();
  }, patienceMs);
  const ended = (outcome: string): void => {
    clearTimeout(timer);
    if (underWay.delete(outgoing)) outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  };
  outgoing.on('response', (response) => {
    let text = '';
    response.setEncoding('utf8').on('data', (part: string) => (text += part));
    response.on('error', () => {});
    response.on('end', () => ended(outcomeOf(response.statusCode!, text)));
    response.on('close', () => ended(left ? 'left' : 'broken'));
  });
  outgoing.on('error', () => ended(left ? 'left' : 'broken'));
  outgoing.end(content);
}

/** The gateway's code, or what the upstream said. */
function outcomeOf(status: number, text: string): string {
  return /"code":"(\w+)"/.exec(text)?.[1] ?? String(status);
}

const startMs = performance.now();
const endMs = startMs + seconds * 1_000;
function offer(): void {
  const now = performance.now();
  const due = Math.floor(((Math.min(now, endMs) - startMs) / 1_000) * perSecond);
  while (calls < due) callOnce();
  if (now < endMs) setTimeout(offer, 2);
  else leave();
}

/** Who is still there leaves: rounds end together. */
function leave(): void {
  for (const outgoing of underWay) outgoing.destroy();
  const left = outcomes.get('left') ?? 0;
  if (underWay.size > 0) outcomes.set('left', left + underWay.size);
  const report: CallersReport = { calls, outcomes: Object.fromEntries(outcomes) };
  process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit(0));
}

offer();
