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

/** nginx as a cache: one worker, no access log, answers in files that are in the machine's memory. */
export function nginxCache(run: Run, name: string, upstream: string): Subject {
  return {
    name,
    launch: async (port) => ({
      command: await nginxCommand(
        run.folder,
        `  proxy_cache_path cache levels=1:2 keys_zone=items:10m inactive=1h use_temp_path=off;
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass ${upstream};
      proxy_cache items;
    }
  }`,
      ),
    }),
  };
}
