/** The certificate that a client proved to have, of an authority that the listener trusts. */
export interface ClientCertificate {
  /** The common name of its subject; undefined where it has none, or several. */
  readonly commonName: string | undefined;
  /** Its subject alternative names (RFC 5280 §4.2.1.6), by kind. */
  readonly names: {
    readonly dns: readonly string[];
    readonly uri: readonly string[];
    readonly email: readonly string[];
  };
  /** SHA-256 of its DER form, in lower-case hex. */
  readonly fingerprint: string;
  /** The same as base64url: `x5t#S256` (RFC 8705 §3.1). */
  readonly thumbprint: string;
  /** Milliseconds since the epoch. */
  readonly expiresMs: number;
}
