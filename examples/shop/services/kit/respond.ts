/**
 * Replies as values, and the conditional requests of RFC 9110 §13. Handlers return a Reply and touch no socket; how it
 * is delivered, whole or mangled by a fault, is the server's business.
 */
import { hash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { Problem } from './problem.ts';
import type { Request } from './router.ts';

export type Reply = {
  status: number;
  headers: Record<string, string>;
  /** A stream is a function: it is not even opened for HEAD, nor when a fault keeps it from being sent. */
  body?: Buffer | (() => Readable);
};

/** What has a serialized form and a validator; a row of a collection does. */
type Representation = { json: string; etag: string };

/** Strong: two answers with one tag are the same bytes. */
export function etagOf(text: string | Buffer): string {
  return `"${hash('sha1', text, 'base64url')}"`;
}

/** The answer to a GET of one entity. */
export function entity(request: Request, of: Representation, cacheControl: string): Reply {
  return unlessKnown(request, of.etag, cacheControl, () => Buffer.from(of.json));
}

/** The answer to a GET of a list, or of anything else that has no row of its own. */
export function json(request: Request, text: string, cacheControl: string): Reply {
  const body = Buffer.from(text);
  return unlessKnown(request, etagOf(body), cacheControl, () => body);
}

function unlessKnown(request: Request, etag: string, cacheControl: string, body: () => Buffer): Reply {
  const known = request.raw.headers['if-none-match'];
  if (known !== undefined && names(known, etag, { weakly: true })) {
    return { status: 304, headers: { etag, 'cache-control': cacheControl } };
  }
  return { status: 200, headers: { ...jsonHeaders, 'cache-control': cacheControl, etag }, body: body() };
}

/** The answer to a write: never to be stored, but with the tag that the next conditional write needs. */
export function written(of: Representation, { location }: { location?: string } = {}): Reply {
  const headers = { ...jsonHeaders, 'cache-control': 'no-store', etag: of.etag };
  const body = Buffer.from(of.json);
  return location === undefined
    ? { status: 200, headers, body }
    : { status: 201, headers: { ...headers, location }, body };
}

/** Small JSON that is about this moment only: counters, health, digests. */
export function fleeting(value: unknown): Reply {
  return {
    status: 200,
    headers: { ...jsonHeaders, 'cache-control': 'no-store' },
    body: Buffer.from(JSON.stringify(value)),
  };
}

export function noContent(): Reply {
  return { status: 204, headers: { 'cache-control': 'no-store' } };
}

/** A write with If-Match goes through only if the caller has seen the current state. */
export function requireMatch(request: Request, current: Representation): void {
  const seen = request.raw.headers['if-match'];
  if (seen !== undefined && !names(seen, current.etag, { weakly: false })) {
    throw new Problem(412, 'The entity has changed since the state that If-Match names.');
  }
}

export function problem(failure: Problem): Reply {
  return {
    status: failure.status,
    headers: { 'content-type': 'application/problem+json', 'cache-control': 'no-store', ...failure.headers },
    body: Buffer.from(JSON.stringify(failure)),
  };
}

const jsonHeaders = { 'content-type': 'application/json; charset=utf-8' };

/** Does the header name this tag? If-None-Match compares weakly (W/ is ignored), If-Match strongly (§13.1). */
function names(header: string, etag: string, { weakly }: { weakly: boolean }): boolean {
  if (header.trim() === '*') return true;
  for (const [tag, weak] of header.matchAll(/(W\/)?"[^"]*"/g)) {
    if (weak === undefined ? tag === etag : weakly && tag.slice(2) === etag) return true;
  }
  return false;
}
