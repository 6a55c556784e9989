import type { Identity } from '#core/identity.ts';

/** What one credential shows. */
export interface Principal {
  readonly identity: Identity;
  /** Whether it still counts: a credential can be withdrawn before it ends. Cheap where it is known already. */
  readonly holds: () => boolean | Promise<boolean>;
  /** Hash of the key in the file that showed it; one that leaves the file is withdrawn. */
  readonly fileKey?: string;
  /** Thumbprint of the one certificate with which it counts (RFC 8705 §3.1). */
  readonly boundTo: string | undefined;
}

/**
 * The certificate that a token is bound to, by its `cnf` claim.
 * @returns a thumbprint that no certificate has, for a binding of another kind, which cannot be checked here
 */
export function bindingOf(claims: Readonly<Record<string, unknown>>): string | undefined {
  const { cnf } = claims;
  if (cnf === undefined) return undefined;
  const thumbprint = typeof cnf === 'object' && cnf !== null ? (cnf as Record<string, unknown>)['x5t#S256'] : undefined;
  return typeof thumbprint === 'string' ? thumbprint : '';
}
