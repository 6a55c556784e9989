import type { CredentialKind } from './identity.ts';

const codes = ['UNAUTHENTICATED', 'FORBIDDEN', 'CREDENTIALS_CONFLICT'] as const;

export type DenialCode = (typeof codes)[number];

/** What was shown in vain. */
export interface ShownInVain {
  readonly shown: readonly CredentialKind[];
  /** As much of an API key as may be written down. */
  readonly keyPrefix: string | undefined;
}

/** That somebody was not let in, or not to a part of what was asked for: for the audit log. */
export interface Denial extends Partial<ShownInVain> {
  readonly code: DenialCode;
  /** What the client was told. */
  readonly why: string;
  /** It has its line. */
  told: boolean;
}

/** Notes it if it is one; of several in a request the first. */
export function noteDenial(
  request: { denial: Denial | undefined },
  { code, message }: { readonly code: string; readonly message: string },
  shown?: ShownInVain,
): void {
  if (isDenial(code)) request.denial ??= { code, why: message, told: false, ...shown };
}

function isDenial(code: string): code is DenialCode {
  return (codes as readonly string[]).includes(code);
}
