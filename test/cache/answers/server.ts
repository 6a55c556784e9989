import type { IncomingMessage } from 'node:http';
import { newApiKey } from '#policies/auth/api-keys/format.ts';
import { startModules, type GraphqlServer } from '../../graphql/shop-gateway.ts';
import type { TestConfig } from '../../support/gateway.ts';
import { send, type Answer } from '../../support/raw-client.ts';
import { startCacheService, type CacheService } from '../service.ts';

export const acme = newApiKey();
export const rival = newApiKey();

export const bearing = ({ key }: { readonly key: string }) => ({ 'x-api-key': key });

/** The gateway over the modules of fixtures/answers, and the one service that speaks for all their upstreams. */
export interface AnswerServer extends GraphqlServer {
  readonly service: CacheService;
  /** JSON of a path, with fields such as `cache-control`; a function makes it anew for each request. */
  gives(path: string, json: unknown, headers?: Record<string, string>): void;
  /** POSTs an operation as bytes, and gives back what `fetch` hides; seconds of `Cache-Control` in tens. */
  post(parameters: string | object, headers?: Record<string, string>): Promise<Answer>;
  get(parameters: Record<string, string>, headers?: Record<string, string>): Promise<Answer>;
}

export async function startAnswerServer(config: TestConfig = {}): Promise<AnswerServer> {
  const service = await startCacheService();
  const upstreams = config.upstreams as Record<string, object> | undefined;
  const names = ['things', 'more', 'sick', 'slow'];
  const server = await startModules('test/fixtures/answers', {
    consumers: [
      { id: 'acme', tier: 'gold', scopes: ['vip'], keys: [acme.hash] },
      { id: 'rival', tier: 'silver', keys: [rival.hash] },
    ],
    ...config,
    upstreams: Object.fromEntries(names.map((name) => [name, { endpoints: [service.url], ...upstreams?.[name] }])),
  });
  return {
    ...server,
    service,
    gives(path, json, headers = {}) {
      service.answer(path, (request, response) => {
        const body = JSON.stringify(
          typeof json === 'function' ? (json as (r: IncomingMessage) => unknown)(request) : json,
        );
        const framing = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
        response.writeHead(200, { ...framing, ...headers });
        response.end(body);
      });
    },
    async post(parameters, headers = {}) {
      const body = JSON.stringify(typeof parameters === 'string' ? { query: parameters } : parameters);
      return inTens(
        await send(server.graphqlUrl, {
          method: 'POST',
          headers: { 'content-type': 'application/json', ...headers },
          body,
        }),
      );
    },
    async get(parameters, headers = {}) {
      return inTens(await send(`${server.graphqlUrl}?${new URLSearchParams(parameters).toString()}`, { headers }));
    },
    async stop() {
      await server.stop();
      await service.close();
    },
  };
}

/** With the seconds of its `Cache-Control` up to the next ten: a busy machine takes some of them. */
function inTens(answer: Answer): Answer {
  const said = answer.headers['cache-control'];
  if (said !== undefined)
    answer.headers['cache-control'] = said.replaceAll(/\d+/g, (text) => String(Math.ceil(Number(text) / 10) * 10));
  return answer;
}

export const forHour = { 'cache-control': 'public, max-age=3600' };
