import { WeirError } from '#core/errors.ts';
import type { Requirement } from '#core/route.ts';

/** What a 401 or 403 says of how to do better (RFC 9110 §11.6.1, RFC 6750 §3). */
interface Challenge {
  readonly error?: 'invalid_token' | 'insufficient_scope';
  readonly description?: string;
  readonly scope?: string;
}

export function unauthenticated(requirement: Requirement, detail?: string): WeirError {
  // RFC 6750 §3.1: who showed nothing is told of no error.
  const challenge: Challenge = detail === undefined ? {} : { error: 'invalid_token', description: detail };
  return new WeirError('UNAUTHENTICATED', {
    ...(detail !== undefined && { detail }),
    headers: { 'www-authenticate': written(requirement, challenge) },
  });
}

export function lacksScope(requirement: Requirement, needed: readonly string[]): WeirError {
  const challenge: Challenge = { error: 'insufficient_scope', scope: needed.join(' ') };
  return new WeirError('FORBIDDEN', {
    detail: `A scope is missing; needed: ${needed.join(' ')}.`,
    headers: { 'www-authenticate': written(requirement, challenge) },
  });
}

export function lacksRole(): WeirError {
  return new WeirError('FORBIDDEN', { detail: 'A role is missing.' });
}

export function breaksRule(): WeirError {
  return new WeirError('FORBIDDEN', { detail: 'The rule of this route is not met.' });
}

/** Quoted strings: what stands in them is the configuration's or our own, and holds no quote. */
function written({ accept }: Requirement, { error, description, scope }: Challenge): string {
  // No scheme is registered for keys in a header of their own; this one names what to send.
  const scheme = accept && !accept.has('jwt') && !accept.has('introspection') ? 'ApiKey' : 'Bearer';
  const parameters = ['realm="weir"'];
  if (error !== undefined) parameters.push(`error="${error}"`);
  if (description !== undefined) parameters.push(`error_description="${description}"`);
  if (scope !== undefined) parameters.push(`scope="${scope}"`);
  return `${scheme} ${parameters.join(', ')}`;
}
