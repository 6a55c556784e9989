/** Who is asking, as far as it is known; made by `policies/auth`, shown to upstreams by the identity layer. */
export interface Identity {
  readonly consumer: string;
  readonly tier: string;
  readonly roles: readonly string[];
  readonly scopes: readonly string[];
  /** The end user behind the consumer, if a credential names one. */
  readonly subject: string | undefined;
}

export const anonymous: Identity = Object.freeze({
  consumer: 'anonymous',
  tier: 'anonymous',
  roles: Object.freeze([]),
  scopes: Object.freeze([]),
  subject: undefined,
});
