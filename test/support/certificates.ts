import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Keys and certificates made for a test with openssl, in a folder of their own. */
export class Certificates {
  readonly #folder = mkdtempSync(join(tmpdir(), 'weir-certificates-'));

  path(name: string): string {
    return join(this.#folder, name);
  }

  read(name: string): Buffer {
    return readFileSync(this.path(name));
  }

  /** A CA that signs others: `NAME.crt`, `NAME.key`. */
  authority(name: string): void {
    this.#openssl(
      'req',
      '-x509',
      ...newKey,
      '-days',
      '2',
      '-subj',
      `/CN=${name}`,
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.crt`,
    );
  }

  /** @param extension such as `subjectAltName=DNS:localhost` */
  certificate(name: string, ca: string, { subject = `/CN=${name}`, extension = '', days = 2 } = {}): void {
    writeFileSync(this.path(`${name}.ext`), extension);
    this.#openssl('req', ...newKey, '-subj', subject, '-keyout', `${name}.key`, '-out', `${name}.csr`);
    const signed = ['-CA', `${ca}.crt`, '-CAkey', `${ca}.key`, '-CAcreateserial', '-days', String(days)];
    this.#openssl('x509', '-req', '-in', `${name}.csr`, ...signed, '-extfile', `${name}.ext`, '-out', `${name}.crt`);
  }

  /** What the CA has withdrawn: `CA.crl`. */
  withdraw(ca: string, ...names: readonly string[]): void {
    writeFileSync(this.path('index.txt'), '');
    writeFileSync(this.path('crlnumber'), '01\n');
    writeFileSync(
      this.path('ca.cnf'),
      '[ca]\ndefault_ca=own\n[own]\ndatabase=index.txt\ncrlnumber=crlnumber\ndefault_md=sha256\n',
    );
    const own = ['ca', '-config', 'ca.cnf', '-cert', `${ca}.crt`, '-keyfile', `${ca}.key`];
    for (const name of names) this.#openssl(...own, '-revoke', `${name}.crt`);
    this.#openssl(...own, '-gencrl', '-crldays', '2', '-out', `${ca}.crl`);
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true });
  }

  #openssl(...args: readonly string[]): void {
    execFileSync('openssl', args, { cwd: this.#folder, stdio: ['ignore', 'ignore', 'pipe'] });
  }
}

const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
