/** The load: wrk, one thread, keep-alive connections, requests in a fixed order over and over. */
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { spawnOn } from './processes.ts';

export interface Request {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Printable ASCII. */
  readonly body?: string;
}

export interface Workload {
  /**
   * Kept open, one request at a time on each. What is under way when a round ends is work without an answer, so take few
   * for slow subjects.
   */
  readonly connections: number;
  /** Many, and no two alike, or a gateway that sends identical reads once would do less work than its peers. */
  readonly requests: readonly Request[];
  /** The one good answer. Each subject's first is compared with it. */
  readonly answer: string;
  /** Where requests are not all alike, the good answers of those that are not as the first. */
  readonly otherAnswers?: readonly string[];
  /** So is every other one. It costs the load generator time, so it is for subjects that are slower than it. */
  readonly compareAll: boolean;
}

/** What one round of load came to. */
export interface LoadResult {
  readonly requests: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Why the round does not count. */
  readonly failure?: string;
}

export interface Load {
  /** Made by `writeScript`. */
  readonly script: string;
  /** Whole seconds: wrk knows no others. */
  readonly seconds: number;
  readonly core: number;
}

/** @throws {Error} when wrk says nothing that can be read */
export async function runLoad(
  { script, seconds, core }: Load,
  origin: string,
  { connections, answer, otherAnswers = [] }: Workload,
): Promise<LoadResult> {
  const options = ['-t', '1', '-c', String(connections), '-d', `${seconds}s`, '--timeout', '5s', '-s', script];
  const child = spawnOn(core, ['wrk', ...options, origin], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: (seconds + 15) * 1000,
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream!.setEncoding('utf8').on('data', (text: string) => (said += text));
  }
  await once(child, 'close');
  const result = /^RESULT (.*)$/m.exec(said)?.[1];
  if (result === undefined) throw new Error(`wrk failed. ${said.trim()}`);
  const { requests, us, bytes, p50Us, p99Us, ...errors } = JSON.parse(result) as Answers;
  const wrong = Object.entries(errors).flatMap(([kind, count]) => (count > 0 ? [`${count} ${kind}`] : []));
  if (requests === 0) wrong.push('no answers');
  const shortest = Math.min(...[answer, ...otherAnswers].map(({ length }) => length));
  if (bytes < requests * shortest) wrong.push(`answers of ${Math.round(bytes / requests)} bytes`);
  return {
    requests,
    perSecond: (requests / us) * 1e6,
    p50Ms: p50Us / 1000,
    p99Ms: p99Us / 1000,
    ...(wrong.length > 0 && { failure: wrong.join(', ') }),
  };
}

type Answers = Record<'requests' | 'us' | 'bytes' | 'p50Us' | 'p99Us' | 'non2xx' | 'wrong' | 'broken' | 'late', number>;

/** Writes the workload as a program for wrk, requests ready made. */
export async function writeScript(file: string, workload: Workload): Promise<void> {
  await writeFile(file, `${requestsIn(workload)}${workload.compareAll ? comparison(workload) : ''}${report}`);
}

function requestsIn({ requests }: Workload): string {
  const list = requests.map(({ method, path, headers, body }) => {
    const fields = Object.entries(headers).map(([name, value]) => `[ ${lua(name)} ]=${lua(value)}`);
    return `  { ${lua(method)}, ${lua(path)}, {${fields.join(',')}}, ${body === undefined ? 'nil' : lua(body)} },`;
  });
  return `
local requests = {
${list.join('\n')}
}
local at, count = 0, #requests

function init()
  for i, r in ipairs(requests) do requests[i] = wrk.format(r[1], r[2], r[3], r[4]) end
end

function request()
  at = at % count + 1
  return requests[at]
end

wrong = 0
local threads = {}
function setup(thread) table.insert(threads, thread) end
`;
}

/** wrk counts no answer below 400 as an error. */
function comparison({ answer, otherAnswers = [] }: Workload): string {
  const good = [answer, ...otherAnswers].map((text) => `[ ${lua(text)} ]=true`);
  return `
local good = { ${good.join(', ')} }
function response(status, _, body)
  if status ~= 200 or not good[body] then wrong = wrong + 1 end
end
`;
}

const report = `
function done(summary, latency)
  local wrong = 0
  for _, thread in ipairs(threads) do wrong = wrong + thread:get('wrong') end
  local errors = summary.errors
  print(string.format(
    '\\nRESULT {"requests":%d,"us":%d,"bytes":%d,"p50Us":%d,"p99Us":%d,"non2xx":%d,"wrong":%d,"broken":%d,"late":%d}',
    summary.requests, summary.duration, summary.bytes, latency:percentile(50), latency:percentile(99),
    errors.status, wrong, errors.connect + errors.read + errors.write, errors.timeout))
end
`;

/** A long string of Lua, which knows no escapes. */
function lua(text: string): string {
  if (text.includes(']==]') || text.startsWith('\n')) throw new Error(`Lua cannot quote ${text}`);
  return `[==[${text}]==]`;
}
