import type { RequestContext } from '#core/context.ts';
import { selectedBy, type Provenance } from '#core/provenance.ts';

/**
 * Of what the answers of an operation were found to depend: facets of the identity and fields of the request. An operation has one
 * of these, as a rule; several where its resolvers look at more for some than for others.
 */
export class Audience {
  /** Says which it is, as part of a key. */
  readonly name: string;
  readonly facets: number;
  readonly fields: readonly string[];

  constructor(facets: number, fields: readonly string[]) {
    this.facets = facets;
    this.fields = fields;
    this.name = fields.length === 0 ? String(facets) : `${facets},${fields.join(',')}`;
  }

  /** What of a request decides whether it gets the same as another. */
  keyOf(context: RequestContext): string {
    const everybody = this.facets === 0 && this.fields.length === 0;
    return everybody ? '' : `${this.name}\n${selectedBy(this.facets, this.fields, context)}`;
  }
}

/** More are not remembered: an operation that looks at something else each time is not worth it. */
const maxAudiences = 8;

/** The one of these that an answer is for; added where it is new, undefined where there are too many. */
export function audienceOf(known: Audience[], provenance: Provenance, facets: number): Audience | undefined {
  const fields = provenance.fields ? [...provenance.fields].toSorted() : [];
  const audience = new Audience(provenance.audience | facets, fields);
  const same = known.find(({ name }) => name === audience.name);
  if (same) return same;
  if (known.length >= maxAudiences) return undefined;
  known.push(audience);
  return audience;
}
