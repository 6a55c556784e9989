import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './ports.ts';
import { Program } from './program.ts';
import { send } from './raw-client.ts';

export interface TestNginx {
  readonly url: string;
  readonly folder: string;
  close(): Promise<void>;
}

/**
 * An nginx of the test's own, in a folder of its own.
 * @param http what stands in its http block, by its port and its folder
 * @throws {Error} with what it said, when it does not start; nginx must be installed
 */
export async function startNginx(http: (port: number, folder: string) => string): Promise<TestNginx> {
  const folder = mkdtempSync(join(tmpdir(), 'weir-nginx-'));
  const port = await freePort();
  const temporary = ['client_body', 'proxy', 'fastcgi', 'scgi', 'uwsgi'].map((kind) => `${kind}_temp_path temp;`);
  writeFileSync(
    join(folder, 'nginx.conf'),
    `daemon off;
master_process off;
pid nginx.pid;
error_log stderr error;
events { worker_connections 256; }
http {
  ${temporary.join(' ')}
  access_log off;
${http(port, folder)}
}
`,
  );
  const program = new Program(['nginx', '-p', folder, '-c', 'nginx.conf', '-e', 'stderr'], { cwd: folder });
  const url = `http://127.0.0.1:${port}`;
  await program.until(async () => {
    try {
      await send(`${url}/`);
      return true;
    } catch {
      return false;
    }
  });
  return {
    url,
    folder,
    async close() {
      program.signal('SIGQUIT');
      await program.end();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
