import { z } from 'zod';
import { criticalities } from '#core/criticality.ts';

/** The key `criticality` of a route, and of `/graphql`. */
export function criticality() {
  return z.enum(criticalities, { error: `write ${criticalities.join(', ').replace(/, (?=\w+$)/, ' or ')}` });
}
