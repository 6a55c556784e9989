import type { Headers } from '#core/headers.ts';
import { isSpanId, isTraceId, type RemoteContext } from './trace-context.ts';

/** B3 propagation (https://github.com/openzipkin/b3-propagation), for services that do not speak W3C Trace Context yet. */

export interface B3Context {
  readonly remote: RemoteContext | undefined;
  /** The caller's decision, which may come without a trace; undefined where it leaves that to us. */
  readonly sampled: boolean | undefined;
}

const nothing: B3Context = { remote: undefined, sampled: undefined };

/** Reads the single `b3` header, or else the `X-B3-*` ones. What is invalid counts as missing. */
export function parseB3(headers: Headers): B3Context {
  const single = headers.b3;
  if (typeof single === 'string') return parseSingle(single);
  const traceId = headers['x-b3-traceid'];
  const sampled = headers['x-b3-flags'] === '1' ? true : decision(headers['x-b3-sampled']);
  if (typeof traceId !== 'string') return sampled === undefined ? nothing : { remote: undefined, sampled };
  return { remote: context(traceId, headers['x-b3-spanid']), sampled };
}

/** `{TraceId}-{SpanId}-{SamplingState}-{ParentSpanId}`, the last two optional, or a sampling state alone. */
function parseSingle(value: string): B3Context {
  if (value.length === 1) return { remote: undefined, sampled: decision(value) };
  // The longest valid value has 32 + 1 + 16 + 1 + 1 + 1 + 16 characters.
  if (value.length > 68) return nothing;
  const [traceId = '', spanId, state, parent, ...rest] = value.split('-');
  const sampled = decision(state);
  if (state !== undefined && sampled === undefined) return nothing;
  if ((parent !== undefined && !isSpanId(parent)) || rest.length > 0) return nothing;
  return { remote: context(traceId, spanId), sampled };
}

function context(traceId: string, spanId: Headers[string]): RemoteContext | undefined {
  // Trace Context 2, "Interoperating with existing systems which use shorter identifiers": padded on the left.
  const padded = traceId.length === 16 ? traceId.padStart(32, '0') : traceId;
  if (!isTraceId(padded) || typeof spanId !== 'string' || !isSpanId(spanId)) return undefined;
  // Nobody vouches for the randomness of a B3 id (§3.2.2.5.2).
  return { traceId: padded, parentId: spanId, flags: 0 };
}

function decision(state: Headers[string]): boolean | undefined {
  switch (state) {
    case '1':
    case 'd':
    case 'true':
      return true;
    case '0':
    case 'false':
      return false;
    default:
      return undefined;
  }
}

export function writeB3(headers: Headers, traceId: string, spanId: string, sampled: boolean): void {
  headers['x-b3-traceid'] = traceId;
  headers['x-b3-spanid'] = spanId;
  headers['x-b3-sampled'] = sampled ? '1' : '0';
  // What a client sent of these speaks of another span.
  if (headers.b3 !== undefined) delete headers.b3;
  if (headers['x-b3-parentspanid'] !== undefined) delete headers['x-b3-parentspanid'];
  if (headers['x-b3-flags'] !== undefined) delete headers['x-b3-flags'];
}
