import type { Requirement } from '#core/route.ts';

/**
 * Not everybody who asks is answered: to have its answers, a credential has to be shown that a cache in between does not ask for,
 * or a rule has to hold that it does not know.
 */
export function demandsCredential({ mode, allScopes, anyScopes, roles, rule }: Requirement): boolean {
  if (mode === 'none') return false;
  return mode === 'required' || allScopes.length > 0 || anyScopes.length > 0 || roles.length > 0 || rule !== undefined;
}
