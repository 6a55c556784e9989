/**
 * How much a request matters when not all of them can be served. The most critical stand first: what is refused is refused
 * from the end of this list.
 */
export const criticalities = ['critical', 'default', 'sheddable'] as const;

export type Criticality = (typeof criticalities)[number];

/** The more critical of the two. */
export function moreCritical(a: Criticality, b: Criticality): Criticality {
  return criticalities.indexOf(a) <= criticalities.indexOf(b) ? a : b;
}
