/** Starts the four services as processes, and hands out what a demo or a test needs to work them. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { createServer } from 'node:net';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CountersSnapshot } from './kit/counters.ts';
import type { Fault } from './kit/faults.ts';
import { ports, type ServiceName } from './kit/shop.ts';

export type { CountersSnapshot, Fault };

export type ShopService = {
  readonly name: ServiceName;
  readonly url: string;
  /** Another one after `restart()`. */
  readonly pid: number;
  /** Resolves when the process is gone; with SIGSTOP and SIGCONT, which end nothing, when the signal is sent. */
  kill: (signal?: NodeJS.Signals) => Promise<void>;
  /** Starts it again, on the same port, with the data it began with. Stops it first if it runs. */
  restart: () => Promise<void>;
  setFault: (fault: Fault) => Promise<void>;
  clearFault: () => Promise<void>;
  counters: () => Promise<CountersSnapshot>;
  resetCounters: () => Promise<void>;
};

export type Shop = Readonly<Record<ServiceName, ShopService>> & {
  /** Ends all four and waits until they are gone. */
  stop: () => Promise<void>;
};

/** `fixed`, the default, are the ports of kit/shop.ts; `free` are any, for tests that run side by side. */
export async function spawnShop({ ports: which = 'fixed' }: { ports?: 'fixed' | 'free' } = {}): Promise<Shop> {
  const begin = (name: ServiceName): Promise<ShopService> => spawnService(name, which === 'fixed' ? ports[name] : 0);
  const starting = {
    users: begin('users'),
    catalog: begin('catalog'),
    orders: begin('orders'),
    reviews: begin('reviews'),
  };
  // All are waited for, so that none is left behind when another fails.
  const outcomes = await Promise.allSettled(Object.values(starting));
  const stop = async (): Promise<void> => {
    await Promise.all(outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value.kill()] : [])));
  };
  const failures = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [String(outcome.reason)] : []));
  if (failures.length > 0) {
    await stop();
    throw new Error(`The shop did not start.\n${failures.join('\n')}`);
  }
  return {
    users: await starting.users,
    catalog: await starting.catalog,
    orders: await starting.orders,
    reviews: await starting.reviews,
    stop,
  };
}

/** One of the four by itself; port 0 is any free one. */
export async function spawnService(name: ServiceName, port: number): Promise<ShopService> {
  let { child, url } = await launch(name, port === 0 ? await freePort() : port);
  const kill = async (signal: NodeJS.Signals = 'SIGTERM'): Promise<void> => {
    if (signal === 'SIGSTOP' || signal === 'SIGCONT') child.kill(signal);
    else await end(child, signal);
  };
  return {
    name,
    url,
    get pid() {
      return child.pid!;
    },
    kill,
    async restart() {
      await kill();
      ({ child, url } = await launch(name, Number(new URL(url).port)));
    },
    setFault: (fault) => call<void>('PUT', `${url}/_fault`, fault),
    clearFault: () => call<void>('DELETE', `${url}/_fault`),
    counters: () => call<CountersSnapshot>('GET', `${url}/_counters`),
    resetCounters: () => call<void>('DELETE', `${url}/_counters`),
  };
}

/**
 * A port that nobody listens on, from below the range that systems give to outgoing connections. While a service is
 * down, one of those could else take its port, or even connect to itself there and seem to be the service.
 */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = 10_000 + Math.floor(Math.random() * 22_000);
    const probe = createServer().listen(port, '127.0.0.1');
    const free = await once(probe, 'listening').then(
      () => true,
      () => false,
    );
    if (free) {
      probe.close();
      await once(probe, 'close');
      return port;
    }
  }
  throw new Error('There is no free port from 10000 to 32000.');
}

/** Far more than a start takes, and less than anybody waits without asking why. */
const START_TIMEOUT_MS = 15_000;

async function launch(name: ServiceName, port: number): Promise<{ child: ChildProcess; url: string }> {
  // Beside this file in source and in a build alike.
  const main = fileURLToPath(new URL(`./${name}/main${extname(import.meta.url)}`, import.meta.url));
  const child = spawn(process.execPath, [main], {
    env: { ...process.env, HOST: '127.0.0.1', PORT: String(port), EXIT_WITH_PARENT: '1' },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let said = '';
  let complained = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (complained = (complained + text).slice(-4_000)));
  const listening = new Promise<string>((resolve, reject) => {
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      if (said.includes('\n')) return;
      said += text;
      if (said.includes('\n')) resolve((JSON.parse(said) as { url: string }).url);
    });
    child.once('error', reject);
    // 'close', not 'exit': by then all of stderr has been read.
    child.once('close', (code, signal) =>
      reject(new Error(`${name} ended (${signal ?? code}) before it listened: ${complained.trim() || 'no word why'}.`)),
    );
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), START_TIMEOUT_MS);
  try {
    return { child, url: await listening };
  } finally {
    clearTimeout(timer);
  }
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill(signal);
  // One that was stopped hears nothing but these two.
  child.kill('SIGCONT');
  const timer = setTimeout(() => child.kill('SIGKILL'), 3_000);
  await gone;
  clearTimeout(timer);
}

/** A connection of its own for each call: a pooled one may belong to the process before a restart. */
async function call<T>(method: string, url: string, body?: unknown): Promise<T> {
  const outgoing = request(url, { method, agent: false, headers: { 'content-type': 'application/json' } });
  outgoing.end(body === undefined ? undefined : JSON.stringify(body));
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
  let answer = '';
  for await (const text of response.setEncoding('utf8') as AsyncIterable<string>) answer += text;
  if (response.statusCode! >= 400) throw new Error(`${method} ${url}: ${response.statusCode} ${answer}`);
  return (answer === '' ? undefined : JSON.parse(answer)) as T;
}
