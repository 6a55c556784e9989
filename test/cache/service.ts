import type { IncomingMessage, ServerResponse } from 'node:http';
import { send, type Answer, type Sending } from '../support/raw-client.ts';
import { startUpstream, type ReceivedRequest, type TestUpstream } from '../support/upstream.ts';

/** What a path answers: fields and a text, or whatever a function does. */
type Script =
  | { readonly status?: number; readonly headers?: Record<string, string | string[]>; readonly text?: string }
  | ((request: IncomingMessage, response: ServerResponse, body: string) => void);

/** A service whose paths each answer as a test says, and that remembers who asked for them. */
export interface CacheService extends TestUpstream {
  /** Says what a path answers, and forgets who asked for it. */
  answer(path: string, script: Script): void;
  /** What has come for a path, with whatever query. */
  asked(path: string): readonly ReceivedRequest[];
}

export async function startCacheService(): Promise<CacheService> {
  const scripts = new Map<string, Script>();
  const upstream = await startUpstream((request, response, body) => {
    const script = scripts.get(pathOf(request.url!)) ?? { status: 404 };
    if (typeof script === 'function') return script(request, response, body);
    const { status = 200, headers = {}, text = 'stored' } = script;
    const bare = request.method === 'HEAD' || status === 204 || status === 304;
    const length = status === 204 || status === 304 ? {} : { 'content-length': Buffer.byteLength(text) };
    response.writeHead(status, { 'content-type': 'text/plain', ...length, ...headers });
    response.end(bare ? undefined : text);
  });
  return {
    ...upstream,
    answer: (path, script) => void scripts.set(path, script),
    asked: (path) => upstream.requests.filter(({ url }) => pathOf(url) === path),
  };
}

function pathOf(url: string): string {
  return url.split('?', 1)[0]!;
}

/** Sends requests to a gateway by path. @param common fields of each of them */
export function asking(base: () => string, common: Record<string, string> = {}) {
  return (path: string, headers: Record<string, string> = {}, sending: Sending = {}): Promise<Answer> =>
    send(base() + path, { ...sending, headers: { ...common, ...headers } });
}

/** What clients call all instances of one gateway by, whichever of them they come to. */
export const oneName = { host: 'api.example' };
