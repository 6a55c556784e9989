/** Request bodies: JSON, read whole and bounded, or anything at all, streamed into a digest and forgotten. */
import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { Problem } from './problem.ts';

/** What a shop's JSON never needs more than. */
const MAX_JSON_BYTES = 64 * 1024;

export async function readJson(request: IncomingMessage): Promise<unknown> {
  if (!/^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i.test(request.headers['content-type'] ?? '')) {
    throw new Problem(415, 'The body must be application/json.');
  }
  const body = await collect(request);
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    throw new Problem(400, 'The body is not valid JSON in UTF-8.');
  }
}

function collect(request: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let chunks: Buffer[] = [];
    let bytes = 0;
    const refuse = (): void => {
      chunks = [];
      reject(new Problem(413, `The body may have ${MAX_JSON_BYTES} bytes.`));
    };
    // A declared length is refused before a byte of it is read.
    if (Number(request.headers['content-length'] ?? 0) > MAX_JSON_BYTES) refuse();
    // What is too much runs on into the void, so that the client gets to read the answer instead of a reset.
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > MAX_JSON_BYTES) refuse();
      else chunks.push(chunk);
    });
    request.on('end', () => resolve(Buffer.concat(chunks)));
    request.on('error', reject);
  });
}

/** Takes a body of any size in the memory of one chunk. */
export async function digest(request: IncomingMessage): Promise<{ bytes: number; sha256: string }> {
  const sha256 = createHash('sha256');
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    sha256.update(chunk);
  }
  return { bytes, sha256: sha256.digest('hex') };
}
