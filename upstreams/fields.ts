import { METHODS } from 'node:http';
import { BlockList, isIP } from 'node:net';
import { z } from 'zod';
import { formatDuration, parseDuration } from '#core/duration.ts';
import { formatSize, parseSize } from '#core/size.ts';
import { perCall } from '#core/price.ts';

/**
 * Kinds of configuration field that every policy's schema is made of. The file holds text, the program numbers.
 *
 * An error text says what is wrong and, after a semicolon, how to mend it; one that starts with "write" or "name" is the
 * remedy alone. It never repeats the value, which may be a secret: the loader quotes those that are none.
 */

interface Parsed {
  readonly parse: (text: string) => number;
  readonly format: (value: number) => string;
  /** What the JSON Schema and the documentation call it. */
  readonly unit: 'duration' | 'size';
  readonly example: string;
  readonly pattern: string;
}

const durations: Parsed = {
  parse: parseDuration,
  format: formatDuration,
  unit: 'duration',
  example: 'a duration such as 800ms or 30s',
  pattern: String.raw`^\d+(\.\d+)?(ms|s|m|h|d)$`,
};

const sizes: Parsed = {
  parse: parseSize,
  format: formatSize,
  unit: 'size',
  example: 'a size such as 64KiB or 1MiB',
  pattern: String.raw`^\d+(\.\d+)?(B|KiB|MiB|GiB)$`,
};

function parsed({ parse, format, unit, example, pattern }: Parsed, min: number, max: number) {
  const least = min > 0 ? [`at least ${format(min)}`] : [];
  const most = Number.isFinite(max) ? [`at most ${format(max)}`] : [];
  const bounds = [...least, ...most].join(' and ');
  return z
    .string({ error: `write ${example}` })
    .transform((text, context) => {
      try {
        return parse(text);
      } catch {
        context.addIssue({ code: 'custom', message: `write ${example}${bounds && `, ${bounds}`}` });
        return z.NEVER;
      }
    })
    .refine((value) => value >= min && value <= max, { error: `is out of bounds; write a ${unit} of ${bounds}` })
    .meta({ pattern, unit, ...((min > 1 || Number.isFinite(max)) && { bounds }) });
}

/** A duration such as `800ms` or `30s`; milliseconds to the program. At least 1 ms unless said. */
export function duration(bounds: { readonly minMs?: number; readonly maxMs?: number } = {}) {
  return parsed(durations, bounds.minMs ?? 1, bounds.maxMs ?? Number.POSITIVE_INFINITY);
}

/** A size such as `64KiB` or `1MiB`; bytes to the program. At least 1 byte unless said. */
export function size(bounds: { readonly minBytes?: number; readonly maxBytes?: number } = {}) {
  return parsed(sizes, bounds.minBytes ?? 1, bounds.maxBytes ?? Number.POSITIVE_INFINITY);
}

/** A whole number within bounds. */
export function count(min: number, max: number) {
  return z
    .int({ error: `write a whole number from ${min} to ${max}` })
    .min(min)
    .max(max);
}

/** A price in upstream calls, such as 1 or 0.25; thousandths of one to the program. */
export function price(maxCalls = 1_000) {
  const message = `write a price in upstream calls, from 0 to ${maxCalls}, to the thousandth`;
  return z
    .number({ error: message })
    .min(0)
    .max(maxCalls)
    .transform((calls) => Math.round(calls * perCall));
}

/** Scheme, host and port of an HTTP service. */
export function httpUrl() {
  return z.url({ protocol: /^https?$/, error: 'write an http:// or https:// URL' }).refine(
    (text) => {
      const url = URL.parse(text);
      return url !== null && (url.pathname === '/' || url.pathname === '') && !url.search && !url.hash && !url.username;
    },
    { error: 'write scheme, host and port only; paths belong to routes and modules' },
  );
}

/** A name that other keys refer to, and that metrics, headers and logs carry. */
export function name() {
  return z
    .string()
    .regex(
      /^[A-Za-z][A-Za-z0-9_-]{0,62}$/,
      'write a name of letters, digits, - and _, at most 63, that starts with a letter',
    );
}

/** An HTTP method that Node can parse. CONNECT and TRACE are not for a gateway to pass on (RFC 9110 §9.3.6, §9.3.8). */
export function method() {
  return z
    .string()
    .regex(/^[A-Z][A-Z-]*$/, 'write the method in capitals, such as GET')
    .refine((text) => METHODS.includes(text) && text !== 'CONNECT' && text !== 'TRACE', {
      error: 'is no method that the gateway passes on; write one such as GET or POST',
    });
}

/** An address or a CIDR block, as node:net's BlockList takes it. */
export function network() {
  return z.string().refine(isNetwork, { error: 'write an address or a CIDR block, such as 10.0.0.0/8 or ::1' });
}

function isNetwork(text: string): boolean {
  const [address = '', prefix, ...rest] = text.split('/');
  const family = isIP(address);
  if (family === 0 || rest.length > 0) return false;
  if (prefix === undefined) return true;
  if (!/^\d{1,3}$/.test(prefix)) return false;
  try {
    new BlockList().addSubnet(address, Number(prefix), family === 6 ? 'ipv6' : 'ipv4');
    return true;
  } catch {
    return false;
  }
}

/** A header's name: a token of RFC 9110 §5.6.2, in lower case to the program. */
export function headerName() {
  return z
    .string()
    .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, 'write a header name, such as x-canary')
    .toLowerCase();
}
