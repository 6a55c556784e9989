import type { Headers } from '#core/headers.ts';
import { isSpanId, isTraceId, type RemoteContext } from './trace-context.ts';

/** B3 propagation (https://github.com/openzipkin/b3-propagation), for services that do not speak W3C Trace Context yet. */

/**
 * A span's flag beside the W3C ones, and sent with none of them: the trace is wanted whole, whatever anybody's sampling says
 * ("Debug Flag"). It implies the decision to sample.
 */
export const debugFlag = 0x100;

export interface B3Context {
  readonly remote: RemoteContext | undefined;
  /** The caller's decision, which may come without a trace; undefined where it leaves that to us. */
  readonly sampled: boolean | undefined;
  readonly debug: boolean;
}

const nothing: B3Context = { remote: undefined, sampled: undefined, debug: false };

/** Reads the single `b3` header, which comes first, or else the `X-B3-*` ones. What is invalid counts as missing. */
export function parseB3(headers: Headers): B3Context {
  const single = typeof headers.b3 === 'string' ? parseSingle(headers.b3) : undefined;
  return single ?? parseMulti(headers);
}

/** `{TraceId}-{SpanId}-{SamplingState}-{ParentSpanId}`, the last two optional, or a sampling state alone. */
function parseSingle(value: string): B3Context | undefined {
  if (value.length === 1) return stateOf(value, undefined);
  // The longest valid value has 32 + 1 + 16 + 1 + 1 + 1 + 16 characters.
  if (value.length > 68) return undefined;
  const [traceId = '', spanId, state, parent, ...rest] = value.split('-');
  if ((parent !== undefined && !isSpanId(parent)) || rest.length > 0) return undefined;
  const remote = contextOf(traceId, spanId);
  if (!remote) return undefined;
  return state === undefined ? { remote, sampled: undefined, debug: false } : stateOf(state, remote);
}

function stateOf(state: string, remote: RemoteContext | undefined): B3Context | undefined {
  if (state === '0') return { remote, sampled: false, debug: false };
  return state === '1' || state === 'd' ? { remote, sampled: true, debug: state === 'd' } : undefined;
}

function parseMulti(headers: Headers): B3Context {
  const traceId = headers['x-b3-traceid'];
  const debug = headers['x-b3-flags'] === '1';
  const sampled = debug ? true : decision(headers['x-b3-sampled']);
  const remote = typeof traceId === 'string' ? contextOf(traceId, headers['x-b3-spanid']) : undefined;
  return remote || sampled !== undefined ? { remote, sampled, debug } : nothing;
}

function contextOf(traceId: string, spanId: Headers[string]): RemoteContext | undefined {
  // Trace Context 2, "Interoperating with existing systems which use shorter identifiers": padded on the left.
  const padded = traceId.length === 16 ? traceId.padStart(32, '0') : traceId;
  if (!isTraceId(padded) || typeof spanId !== 'string' || !isSpanId(spanId)) return undefined;
  // Nobody vouches for the randomness of a B3 id (§3.2.2.5.2).
  return { traceId: padded, parentId: spanId, flags: 0 };
}

/** Of the many headers, which older tracers fill with words. */
function decision(state: Headers[string]): boolean | undefined {
  switch (state) {
    case '1':
    case 'true':
      return true;
    case '0':
    case 'false':
      return false;
    default:
      return undefined;
  }
}

/** Writes the `X-B3-*` headers. Debug stands for the decision to sample, which is then not sent. */
export function writeB3(headers: Headers, traceId: string, spanId: string, sampled: boolean, debug: boolean): void {
  headers['x-b3-traceid'] = traceId;
  headers['x-b3-spanid'] = spanId;
  if (debug) headers['x-b3-flags'] = '1';
  else headers['x-b3-sampled'] = sampled ? '1' : '0';
}

/** Writes the `b3` header. */
export function writeSingleB3(
  headers: Headers,
  traceId: string,
  spanId: string,
  sampled: boolean,
  debug: boolean,
): void {
  headers.b3 = `${traceId}-${spanId}-${debug ? 'd' : sampled ? '1' : '0'}`;
}

/** Takes out what a client sent of B3, which speaks of another span. */
export function removeB3(headers: Headers): void {
  if (headers.b3 !== undefined) delete headers.b3;
  if (headers['x-b3-traceid'] !== undefined) delete headers['x-b3-traceid'];
  if (headers['x-b3-spanid'] !== undefined) delete headers['x-b3-spanid'];
  if (headers['x-b3-parentspanid'] !== undefined) delete headers['x-b3-parentspanid'];
  if (headers['x-b3-sampled'] !== undefined) delete headers['x-b3-sampled'];
  if (headers['x-b3-flags'] !== undefined) delete headers['x-b3-flags'];
}
