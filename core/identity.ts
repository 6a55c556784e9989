/** What showed who is asking. */
export type CredentialKind = 'jwt' | 'apiKey' | 'introspection' | 'mtls';

/** Who is asking, as far as it is known; made by `policies/auth`, shown to upstreams by the identity layer. */
export interface Identity {
  readonly consumer: string;
  readonly tier: string;
  readonly roles: readonly string[];
  readonly scopes: readonly string[];
  /** The end user behind the consumer, if a credential names one. */
  readonly subject: string | undefined;
  /** Undefined for who showed nothing. */
  readonly credential: CredentialKind | undefined;
  /** Which API key it was, by a name that is no secret. */
  readonly key?: string;
  /** What its token says, for rules. */
  readonly claims: Readonly<Record<string, unknown>>;
  /** Milliseconds since the epoch at which the credential ends; infinite for one that does not. */
  readonly expiresMs: number;
}

const nothing: readonly string[] = Object.freeze([]);

export const anonymous: Identity = Object.freeze({
  consumer: 'anonymous',
  tier: 'anonymous',
  roles: nothing,
  scopes: nothing,
  subject: undefined,
  credential: undefined,
  claims: Object.freeze({}),
  expiresMs: Number.POSITIVE_INFINITY,
});
