import type { RequestContext } from '#core/context.ts';
import type { Headers } from '#core/headers.ts';
import { closeToOthers } from '#upstreams/cache/private.ts';
import { ComposedRoute } from './composed-route.ts';

export interface ComposedAnswer {
  /** Default 200, or 204 without a body. */
  readonly status?: number | undefined;
  /** Any JSON; undefined for none. */
  readonly body: unknown;
  /** By lower-case name. */
  readonly headers: Headers;
}

/** Sends an answer that was made here. Caches keep it only where it says so itself. */
export function sendComposed(context: RequestContext, { status, body, headers }: ComposedAnswer): void {
  const { reply, method } = context;
  if (reply.finished) return;
  const bytes = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
  const code = status ?? (bytes ? 200 : 204);
  const fields: Headers = {
    'cache-control': 'no-store',
    ...(bytes && { 'content-type': 'application/json' }),
    ...headers,
    ...(bytes && { 'content-length': String(bytes.length) }),
  };
  const route = context.route instanceof ComposedRoute ? context.route : undefined;
  const version = route?.criteria.version;
  version?.group.mark(version.name, fields);
  if (route?.closed === true) closeToOthers(fields);
  reply.head(code, fields);
  const content = method === 'HEAD' ? undefined : bytes;
  reply.end(content);
  const sample = route?.contract?.sample(context, context.target);
  if (!sample) return;
  sample.head(code, fields);
  if (content) sample.data(content);
  sample.end();
}
