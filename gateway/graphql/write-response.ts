import type { Cancellation } from '#core/cancellation.ts';
import type { Clock } from '#core/clock.ts';
import type { RequestContext } from '#core/context.ts';
import { hopByHop, type Headers } from '#core/headers.ts';
import type { Reply } from '#core/reply.ts';
import { isKnown, keptHeaders } from './answers/kept-answer.ts';
import type { HttpExchange } from './http-exchange.ts';

/** Writes a `Response` of Yoga's as the answer to the request, as fast as the client reads it. */
export async function writeResponse(response: Response, exchange: HttpExchange, clock: Clock): Promise<void> {
  const { context } = exchange;
  const headers = headersOf(response, exchange);
  const type = response.headers.get('content-type') ?? '';
  const events = type.startsWith('text/event-stream');
  if (response.body && (events || type.startsWith('multipart/mixed'))) {
    // Proxies in front must neither gather nor recode what is to arrive part by part.
    headers['cache-control'] = 'no-store, no-transform';
    headers['x-accel-buffering'] = 'no';
    // It was open for so long that whoever comes back should be free to come to another instance.
    if (events) headers.connection = 'close';
    context.reply.head(response.status, headers);
    await stream(response.body, context);
    return;
  }
  const body = Buffer.from(await response.text());
  const { kept, cacheStatus } = exchange.outcome?.kind === 'result' ? exchange.outcome : notKept;
  const nowMs = clock.epochMs();
  if (kept && response.status === 200) {
    if (isKnown(kept, context, nowMs)) {
      context.reply.head(304, keptHeaders(kept, context, nowMs));
      context.reply.end();
      return;
    }
    Object.assign(headers, keptHeaders(kept, context, nowMs));
  } else {
    headers['cache-control'] = 'no-store';
    if (cacheStatus !== undefined) headers['cache-status'] = cacheStatus;
  }
  headers['content-length'] = String(body.length);
  context.reply.head(response.status, headers);
  context.reply.end(context.method === 'HEAD' ? undefined : body);
}

const notKept = { kept: undefined, cacheStatus: undefined };

/** Each hop frames for itself (RFC 9110 §7.6.1); and `none`, which Yoga gives an event stream, is no coding. */
function headersOf(response: Response, { formatName }: HttpExchange): Headers {
  const headers: Headers = { vary: 'Accept' };
  for (const [spelling, value] of response.headers) {
    const name = spelling.toLowerCase();
    if (!hopByHop.has(name) && name !== 'content-encoding') headers[name] = value;
  }
  if (formatName !== undefined) headers['content-type'] = `${headers['content-type'] as string}; ${formatName}`;
  return headers;
}

async function stream(
  body: ReadableStream<Uint8Array>,
  { reply: client, cancellation }: RequestContext,
): Promise<void> {
  const chunks = body[Symbol.asyncIterator]();
  const stop = () => void chunks.return?.().catch(() => undefined);
  // A client that has gone ends the subscription behind it too, which may have nothing to say for hours. After a deadline
  // the last parts are still to come.
  const link = cancellation.on(({ code }) => {
    if (code === 'CLIENT_CLOSED_REQUEST') stop();
  });
  try {
    for (;;) {
      const { done, value } = await chunks.next();
      if (cancellation.reason?.code === 'CLIENT_CLOSED_REQUEST') return;
      if (done) break;
      if (!client.write(value)) await drained(client, cancellation);
    }
    client.end();
  } catch {
    // Over in the middle, whoever ended it: it must not look complete.
    client.destroy();
  } finally {
    cancellation.off(link);
    stop();
  }
}

/** A client that takes nothing for so long is gone, though its connection may not show it. */
const maxStallMs = 60_000;

/** Waits until the client has read what was written, or has left. */
function drained(client: Reply, cancellation: Cancellation): Promise<void> {
  return new Promise((resolve) => {
    const stalled = setTimeout(() => client.destroy(), maxStallMs);
    const done = () => {
      clearTimeout(stalled);
      resolve();
    };
    const link = cancellation.on(done);
    client.onDrain(() => {
      cancellation.off(link);
      done();
    });
  });
}
