import type { RequestContext } from '#core/context.ts';
import { WeirError } from '#core/errors.ts';
import { firstValue } from '#core/headers.ts';
import type { GraphqlSettings } from './settings.ts';

/** `plan`: nothing is run, the answer is the price. `run`: the operation is run, and its answer says what it came to. */
export type ExplainMode = 'plan' | 'run';

/**
 * Whether the request asks for its price (`x-weir-explain`).
 * @throws {WeirError} `FORBIDDEN`, `UNAUTHENTICATED` where it may not, `BAD_REQUEST` for another word: to run an operation
 *   that was only to be looked at is worse than to refuse it
 */
export function explainMode(context: RequestContext, settings: GraphqlSettings): ExplainMode | undefined {
  const header = context.headers['x-weir-explain'];
  if (header === undefined) return undefined;
  const asked = firstValue(header)?.trim().toLowerCase();
  if (asked === '' || asked === 'off') return undefined;
  if (asked !== 'plan' && asked !== 'run')
    throw new WeirError('BAD_REQUEST', { detail: 'x-weir-explain is plan or run.' });
  if (mayExplain(context, settings)) return asked;
  const detail = 'Who may see what operations cost is named under graphql.explain; this caller is not.';
  throw new WeirError('FORBIDDEN', { detail });
}

function mayExplain(context: RequestContext, { development, explain }: GraphqlSettings): boolean {
  const { consumer, credential, roles } = context.identity;
  if (development) return true;
  if (explain.loopback && isLocal(context)) return true;
  if (credential === undefined) return false;
  return explain.consumers.includes(consumer) || explain.roles.some((role) => roles.includes(role));
}

const loopback = /^(127\.|::1$|::ffff:127\.)/;

/** A proxy on the same machine calls from there too, for whomever: what it adds to requests tells it apart. */
function isLocal({ peerIp, headers }: RequestContext): boolean {
  const passedOn = headers['x-forwarded-for'] ?? headers.forwarded ?? headers.via ?? headers['x-real-ip'];
  return passedOn === undefined && loopback.test(peerIp);
}
