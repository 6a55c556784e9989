/** Sends a reply: well, or in one of the ways in which upstreams send badly. */
import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FaultKind } from './faults.ts';
import type { Reply } from './respond.ts';

export async function deliver(response: ServerResponse, reply: Reply, fault?: FaultKind): Promise<void> {
  const { status, body } = reply;
  const headers = Buffer.isBuffer(body) ? { ...reply.headers, 'content-length': String(body.length) } : reply.headers;
  if (body === undefined || response.req.method === 'HEAD') {
    response.writeHead(status, headers).end();
  } else if (fault === 'half-body' || fault === 'half-chunked') {
    await half(response, status, headers, chunksOf(body, response), fault);
  } else if (fault === 'drip') {
    response.writeHead(status, headers);
    await drip(response, chunksOf(body, response));
  } else if (Buffer.isBuffer(body)) {
    response.writeHead(status, headers).end(body);
  } else {
    // The head goes out at once: the first event of a feed may be an hour away.
    response.writeHead(status, headers).flushHeaders();
    await pipeline(body(), response);
  }
}

/** Answers 200 and JSON's media type, with what no parser takes. */
export function deliverGarbage(response: ServerResponse): void {
  const body = '{"items":[{"id":"1","name":\u0000 <html>oops</html>';
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }).end(body);
}

/**
 * Stops half-way and hangs up. The length that was promised is the true one; without one the answer is chunked and
 * its last chunk never comes. A stream that has no length has no middle: it is cut within its first chunk.
 */
async function half(
  response: ServerResponse,
  status: number,
  { 'content-length': length, ...headers }: Record<string, string>,
  chunks: AsyncIterable<Buffer>,
  fault: 'half-body' | 'half-chunked',
): Promise<void> {
  const promised = length !== undefined && fault === 'half-body';
  response.writeHead(status, promised ? { ...headers, 'content-length': length } : headers).flushHeaders();
  let left = length === undefined ? undefined : Math.floor(Number(length) / 2);
  for await (const chunk of chunks) {
    left ??= Math.floor(chunk.length / 2);
    const part = chunk.subarray(0, left);
    left -= part.length;
    if (part.length > 0) await sent(response, part);
    if (left === 0) break;
  }
  response.socket?.destroySoon();
}

async function drip(response: ServerResponse, chunks: AsyncIterable<Buffer>): Promise<void> {
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length; at++) {
      if (response.destroyed) return;
      response.write(chunk.subarray(at, at + 1));
      await sleep(100);
    }
  }
  response.end();
}

/** A feed may be silent when the client goes, so its end must not wait for the next chunk. */
function chunksOf(body: Buffer | (() => Readable), response: ServerResponse): AsyncIterable<Buffer> {
  if (Buffer.isBuffer(body)) return Readable.from([body]);
  const stream = body();
  response.once('close', () => stream.destroy());
  return stream;
}

/** Resolves when the system has taken the bytes, or when there is nobody left to take them. */
function sent(response: ServerResponse, bytes: Buffer): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('close', done);
      resolve();
    };
    response.once('close', done).write(bytes, done);
  });
}
