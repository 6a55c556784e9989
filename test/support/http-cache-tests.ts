import { createServer, type RequestListener } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';

/** One case of the public suite, `http-cache-tests` on npm. */
export interface CacheCase {
  readonly id: string;
  readonly name: string;
  /** `required` where it says nothing; `check` only looks at what caches do. */
  readonly kind?: 'required' | 'optimal' | 'check';
  readonly depends_on?: readonly string[];
  readonly browser_only?: boolean;
}

/** True, or why not. */
export type CacheResult = true | readonly [kind: string, detail: string];

type Handler = (path: readonly string[], ...exchange: Parameters<RequestListener>) => void;
type Fetch = (url: string, init: object) => Promise<unknown>;

interface Suite {
  readonly cases: readonly CacheCase[];
  /** Runs all cases against a cache in front of the suite's origin. */
  run(baseUrl: string): Promise<Readonly<Record<string, CacheResult>>>;
  /** Starts the server that the cases need behind the cache. */
  startOrigin(): Promise<{ readonly url: string; close(): void }>;
}

/** The package has no types, and its modules are of paths that the compiler need not follow. */
async function load<T>(path: string): Promise<T> {
  const name = `http-cache-tests/${path}`;
  return (await import(name)) as T;
}

/** The suite as its own command runs it. */
export async function loadCacheTests(): Promise<Suite> {
  const { default: groups } = await load<{ default: readonly { readonly tests: readonly CacheCase[] }[] }>(
    'tests/index.mjs',
  );
  return {
    cases: groups.flatMap(({ tests }) => tests).filter(({ browser_only: browser }) => browser !== true),
    async run(baseUrl) {
      const runner = await load<{
        runTests(tests: typeof groups, fetch: Fetch, browser: boolean, base: string): Promise<void>;
        getResults(): Readonly<Record<string, CacheResult>>;
      }>('client/runner.mjs');
      const name = 'node-fetch';
      const { default: fetch } = (await import(name)) as { default: Fetch };
      await runner.runTests(groups, fetch, false, baseUrl);
      return runner.getResults();
    },
    async startOrigin() {
      const handlers: Readonly<Record<string, Handler | undefined>> = {
        config: (await load<{ default: Handler }>('server/handle-config.mjs')).default,
        test: (await load<{ default: Handler }>('server/handle-test.mjs')).default,
        state: (await load<{ default: Handler }>('server/handle-state.mjs')).default,
      };
      const server = createServer((request, response) => {
        const { pathname } = new URL(request.url!, 'http://origin.invalid');
        const [, kind = '', ...path] = pathname.split('/');
        const handler = handlers[kind];
        if (handler) handler(path, request, response);
        else response.writeHead(404).end();
      });
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      return {
        url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
        close() {
          server.closeAllConnections();
          server.close();
        },
      };
    },
  };
}

/** Whether a case passes: what it builds upon has to pass too. */
export function passes(
  { id, depends_on: dependencies = [] }: CacheCase,
  cases: ReadonlyMap<string, CacheCase>,
  results: Readonly<Record<string, CacheResult>>,
): boolean {
  return results[id] === true && dependencies.every((other) => passes(cases.get(other)!, cases, results));
}
