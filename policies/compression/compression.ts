import { firstValue, type Headers } from '#core/headers.ts';
import type { Policy } from '#core/policy.ts';
import type { ContentCoding } from '#core/reply.ts';
import { acceptable } from './accept-encoding.ts';
import { encoders } from './encoders.ts';
import { mediaTypes } from './media-types.ts';
import type { Algorithm, CompressionSettings } from './settings.ts';

const plain: ContentCoding = () => undefined;

/** The stage: says how the answer is to be compressed, should it be one that is. */
export function compress(general: ContentCoding): Policy {
  return (context) => {
    context.reply.coding = context.route?.coding ?? general;
  };
}

/**
 * Compresses what an answer's head allows to be compressed, in the coding that its client likes most. It goes by the head
 * alone, so that HEAD is answered like GET (RFC 9110 §9.3.2).
 */
export function compression(settings: CompressionSettings | 'off'): ContentCoding {
  if (settings === 'off') return plain;
  const { algorithms, minBytes } = settings;
  const compressible = mediaTypes(settings.types);
  const byAlgorithm = encoders(settings);
  // The one that takes the least memory for as long as a stream is open.
  const forStreams: readonly Algorithm[] = algorithms.toSorted((a, b) => Number(b === 'gzip') - Number(a === 'gzip'));

  return (request, status, headers) => {
    if (status === 304) {
      revalidated(request.headers, headers, algorithms);
      return undefined;
    }
    if (!mayChange(status, headers)) return undefined;
    const type = mediaType(headers);
    if (!compressible(type)) return undefined;
    const pieces = piecemeal.has(type);
    const { coding, refusesPlain } = acceptable(
      firstValue(request.headers['accept-encoding']),
      pieces ? forStreams : algorithms,
    );
    // Of unknown length counts as long.
    if (!refusesPlain && Number(headers['content-length']) < minBytes) return undefined;
    addVary(headers);
    // To HTTP/1.0 a body without a length ends with its connection, and looks whole wherever it breaks off.
    if (coding === undefined || request.httpVersion === '1.0' || forbidden(request.headers['cache-control']))
      return undefined;
    headers['content-encoding'] = coding;
    weaken(headers);
    delete headers['content-length'];
    // Ranges would be of other bytes (RFC 9110 §14.2).
    delete headers['accept-ranges'];
    if (request.method === 'HEAD') return undefined;
    return pieces ? byAlgorithm[coding].pieces : byAlgorithm[coding].whole;
  };
}

/** Types of content that is read as it comes. */
const piecemeal: ReadonlySet<string> = new Set([
  'text/event-stream',
  'application/x-ndjson',
  'application/jsonl',
  'application/json-seq',
  'application/stream+json',
]);

/** Fields that speak of the very bytes (RFC 9530, RFC 3230, RFC 1864). */
const digests = ['content-digest', 'repr-digest', 'digest', 'content-md5'];

function mayChange(status: number, headers: Headers): boolean {
  // RFC 9110 §15.3.5 to §15.3.7: no content, or a part of one.
  if (status < 200 || status === 204 || status === 205 || status === 206) return false;
  if (headers['content-encoding'] !== undefined || headers['content-range'] !== undefined) return false;
  if (headers['content-length'] === '0' || forbidden(headers['cache-control'])) return false;
  for (const name of digests) if (headers[name] !== undefined) return false;
  return true;
}

const noTransform = /no-transform/i;

/** RFC 9111 §5.2.1.6 and §5.2.2.6. */
function forbidden(control: string | string[] | undefined): boolean {
  return control !== undefined && noTransform.test(String(control));
}

function mediaType(headers: Headers): string {
  const field = firstValue(headers['content-type']) ?? '';
  const semicolon = field.indexOf(';');
  return (semicolon < 0 ? field : field.slice(0, semicolon)).trim().toLowerCase();
}

/** RFC 9110 §12.5.5. */
function addVary(headers: Headers): void {
  const vary = headers.vary === undefined ? '' : String(headers.vary);
  if (vary === '') headers.vary = 'Accept-Encoding';
  else if (vary !== '*' && !vary.toLowerCase().includes('accept-encoding')) headers.vary = `${vary}, Accept-Encoding`;
}

/** RFC 9110 §8.8.1: two answers with one strong validator have the same bytes. */
function weaken(headers: Headers): void {
  const etag = firstValue(headers.etag);
  if (etag?.startsWith('"')) headers.etag = `W/${etag}`;
}

/**
 * A 304 says of itself only what decides which stored answer is meant (RFC 9110 §15.4.5). One that is stored as it was
 * compressed is found by the weak validator alone (RFC 9111 §4.3.4).
 */
function revalidated(request: Headers, headers: Headers, algorithms: readonly Algorithm[]): void {
  const etag = firstValue(headers.etag);
  if (!etag?.startsWith('"') || !String(request['if-none-match']).includes(`W/${etag}`)) return;
  if (acceptable(firstValue(request['accept-encoding']), algorithms).coding === undefined) return;
  weaken(headers);
  addVary(headers);
}
