import { mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * The command for an nginx in a folder of its own: one process that stays in the foreground, connections kept without end.
 * `http` is what stands in the http block.
 */
export async function nginxCommand(folder: string, http: string): Promise<readonly [string, ...string[]]> {
  const prefix = await mkdtemp(join(folder, 'nginx-'));
  const temporary = ['client_body', 'proxy', 'fastcgi', 'scgi', 'uwsgi']
    .map((kind) => `${kind}_temp_path temp;`)
    .join(' ');
  await writeFile(
    join(prefix, 'nginx.conf'),
    `daemon off;
master_process off;
pid nginx.pid;
error_log stderr error;
events { worker_connections 1024; }
http {
  ${temporary}
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  tcp_nodelay on;
${http}
}
`,
  );
  return ['nginx', '-p', prefix, '-c', 'nginx.conf', '-e', 'stderr'];
}
