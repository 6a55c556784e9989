import type { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { TLSSocket, type SecureContextOptions } from 'node:tls';
import { z } from 'zod';
import type { ClientCertificate } from '#core/client-certificate.ts';

const path = z.string().min(1, 'write the path of a PEM file');

/** TLS on the public listener. */
export const tlsSchema = z
  .strictObject({
    cert: path.describe('PEM file of the certificate, with the chain up to the authority.'),
    key: path.describe('PEM file of its key.'),
    minVersion: z
      .enum(['TLSv1.2', 'TLSv1.3'])
      .default('TLSv1.2')
      .describe('The oldest version that is spoken; 1.3 always is.'),
    clientCa: path
      .optional()
      .describe('PEM file of the authorities that sign client certificates; none are asked for when left out.'),
    clientCertificate: z
      .enum(['required', 'optional'])
      .default('optional')
      .describe('With `clientCa`: whether a client must have one. One that is not in order is never taken.'),
    crl: path.optional().describe('PEM file of the certificates that `clientCa` has withdrawn (RFC 5280 §5).'),
  })
  .refine((tls) => tls.crl === undefined || tls.clientCa !== undefined, {
    path: ['crl'],
    error: 'is of no use without clientCa; write both',
  });

export type TlsSettings = z.output<typeof tlsSchema>;

/**
 * Reads the files: at the start, and again at each reload, for certificates are renewed while the gateway serves.
 * @throws {Error} when a file cannot be read
 */
export function readTls({ cert, key, minVersion, clientCa, crl }: TlsSettings): SecureContextOptions {
  return {
    cert: readFileSync(cert),
    key: readFileSync(key),
    minVersion,
    ...(clientCa !== undefined && { ca: readFileSync(clientCa) }),
    ...(crl !== undefined && { crl: readFileSync(crl) }),
  };
}

/** RFC 8446 §4.4.2.4: a certificate that was shown and is not in order. Showing none is none of that. */
export function showsWrongCertificate(socket: TLSSocket): boolean {
  return !socket.authorized && socket.getPeerX509Certificate() !== undefined;
}

const known = new WeakMap<Socket, ClientCertificate | undefined>();

/** What the client of a connection has proved; looked at once for each connection. */
export function clientCertificateOf(socket: Socket): ClientCertificate | undefined {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined;
  if (known.has(socket)) return known.get(socket);
  const certificate = socket.getPeerX509Certificate();
  const read = certificate && readCertificate(certificate);
  known.set(socket, read);
  return read;
}

function readCertificate(certificate: X509Certificate): ClientCertificate {
  const digest = Buffer.from(certificate.fingerprint256.replaceAll(':', ''), 'hex');
  const subject = certificate.toLegacyObject().subject as Readonly<Record<string, string | string[]>> | undefined;
  const commonName = subject?.CN;
  return {
    commonName: typeof commonName === 'string' ? commonName : undefined,
    names: {
      dns: namesOf(certificate.subjectAltName, 'DNS'),
      uri: namesOf(certificate.subjectAltName, 'URI'),
      email: namesOf(certificate.subjectAltName, 'email'),
    },
    fingerprint: digest.toString('hex'),
    thumbprint: digest.toString('base64url'),
    expiresMs: Date.parse(certificate.validTo),
  };
}

/** Node writes names that hold a comma or a quote as JSON, so that no name can look like two. */
function namesOf(text: string | undefined, kind: string): string[] {
  const names: string[] = [];
  for (const [, name, quoted, plain] of (text ?? '').matchAll(/(\w+):(?:("(?:[^"\\]|\\.)*")|([^,]*))(?:, |$)/g)) {
    if (name === kind) names.push(quoted === undefined ? (plain ?? '') : (JSON.parse(quoted) as string));
  }
  return names;
}
