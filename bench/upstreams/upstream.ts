/**
 * What stands behind the subjects: an nginx that answers from memory, beside the load generator, so that it is the
 * subject that is measured. It counts what it is asked: a subject that sends less shows in the table.
 */
import { nginxCommand } from '../nginx.ts';
import { freePort } from '../ports.ts';
import { Running } from '../processes.ts';
import type { Run } from '../scenario.ts';

export interface Upstream {
  readonly origin: string;
  /** How many requests it has had so far. */
  readonly asked: () => Promise<number>;
}

const statusPath = '/bench-status';

/** `locations` is what stands in the server block, `http` what stands beside it. */
export async function startUpstream(
  run: Run,
  stack: AsyncDisposableStack,
  { locations, http = '' }: { readonly locations: string; readonly http?: string },
): Promise<Upstream> {
  const port = await freePort();
  const origin = `http://127.0.0.1:${port}`;
  const command = await nginxCommand(
    run.folder,
    `${http}
  server {
    listen 127.0.0.1:${port};
    default_type application/json;
    location = ${statusPath} { stub_status; }
    location = /health { return 200 '{"status":"ok"}'; }
${locations}
  }`,
  );
  // These questions are no part of the count.
  let own = 0;
  const asked = async (): Promise<number> => {
    const text = await (await fetch(`${origin}${statusPath}`)).text();
    const requests = /^ \d+ \d+ (\d+) $/m.exec(text)?.[1];
    if (requests === undefined) throw new Error(`nginx says nothing of its requests: ${text}`);
    return Number(requests) - ++own;
  };
  const process = await Running.start({ name: 'the upstream', command, core: run.cores.load }, port);
  stack.defer(() => process.stop());
  return { origin, asked };
}
