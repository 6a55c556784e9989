import type { Upstream } from '#upstreams/upstream.ts';

/** Whom answers come from, and as whom that is asked. */
interface Source {
  readonly identity: string;
  /** Where it is: of its endpoints, or under which name they are found. */
  readonly places: readonly string[];
}

export function sourceOf({ settings: { identity, endpoints, discovery } }: Upstream): Source {
  const places = discovery ? [JSON.stringify({ ...discovery, every: undefined })] : endpoints!.map(({ url }) => url);
  return { identity: JSON.stringify(identity), places };
}

/**
 * What is stored of the one may not be given out for the other: it was said to somebody else, such as under another static
 * credential, or by somebody else. Endpoints that come and go beside others make no other service.
 */
export function isAnother(before: Source | undefined, now: Source): boolean {
  if (!before) return false;
  return before.identity !== now.identity || !before.places.some((place) => now.places.includes(place));
}
