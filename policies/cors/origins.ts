/** One host for any below it: `https://*.example.com`, with its own port, none, or any. */
interface Subdomains {
  /** `https://` */
  readonly scheme: string;
  /** `.example.com`, with the port if it is a certain one. */
  readonly tail: string;
  readonly anyPort: boolean;
}

const labels = /^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/;

/**
 * Origins are compared as text. One that ends in `:*` takes any port, and none; one whose host begins with `*.` takes any
 * host below it, but not that host itself.
 */
export function originMatcher(origins: readonly string[]): (origin: string) => boolean {
  const plain = origins.filter((origin) => !origin.includes('://*.'));
  const exact = new Set(plain);
  const anyPort = new Set(plain.filter((origin) => origin.endsWith(':*')).map((origin) => origin.slice(0, -2)));
  const below = origins.filter((origin) => origin.includes('://*.')).map(subdomains);
  return (origin) => {
    if (exact.has(origin) || anyPort.has(origin)) return true;
    const bare = withoutPort(origin);
    if (bare !== undefined && anyPort.has(bare)) return true;
    return below.some((pattern) => isBelow(pattern, pattern.anyPort ? (bare ?? origin) : origin));
  };
}

function subdomains(pattern: string): Subdomains {
  const star = pattern.indexOf('*');
  const anyPort = pattern.endsWith(':*');
  return { scheme: pattern.slice(0, star), tail: pattern.slice(star + 1, anyPort ? -2 : undefined), anyPort };
}

function isBelow({ scheme, tail }: Subdomains, origin: string): boolean {
  if (!origin.startsWith(scheme) || !origin.endsWith(tail)) return false;
  return labels.test(origin.slice(scheme.length, -tail.length));
}

/** @returns undefined for what has no port */
function withoutPort(origin: string): string | undefined {
  const colon = origin.lastIndexOf(':');
  const text = origin.slice(colon + 1);
  const port = Number(text);
  return /^\d+$/.test(text) && port > 0 && port < 65_536 ? origin.slice(0, colon) : undefined;
}
