import { nginxCommand } from '../nginx.ts';
import type { Run, Subject } from '../scenario.ts';

/** nginx as a proxy: one worker, an access log, connections to the upstream kept. */
export function nginxProxy(run: Run, upstream: string): Subject {
  return {
    name: 'nginx',
    launch: async (port) => ({
      command: await nginxCommand(
        run.folder,
        `  upstream origin {
    server ${new URL(upstream).host};
    keepalive 128;
    keepalive_requests 1000000000;
  }
  server {
    listen 127.0.0.1:${port};
    access_log /dev/null combined;
    location / {
      proxy_pass http://origin;
      proxy_http_version 1.1;
      proxy_set_header connection '';
    }
  }`,
      ),
    }),
  };
}
