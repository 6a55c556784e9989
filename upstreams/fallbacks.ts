import type { Counter } from '#core/meter.ts';
import type { Upstream } from './upstream.ts';

/** Counts how often the static fallback of a route, or of a field as `Type.field`, stood in for what an upstream did not give. */
export function fallbackCounter(
  { name, surroundings }: Upstream,
  place: { readonly 'http.route': string } | { readonly 'weir.field': string },
): Counter {
  return surroundings.meter
    .counter('weir.fallbacks', {
      unit: '{fallback}',
      description: 'Static fallbacks that stood in for what an upstream did not give, by route or field.',
    })
    .with({ ...place, 'weir.upstream': name });
}
