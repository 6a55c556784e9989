import { mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Run } from '../scenario.ts';
import { startUpstream, type Upstream } from './upstream.ts';

export interface Replayed {
  /** By target, query included. */
  readonly answers: ReadonlyMap<string, Buffer>;
  /** Who answers targets that were not recorded: origins by the first segment of their paths. */
  readonly services: Readonly<Record<string, string>>;
}

/** Answers GET with what was recorded for its target, and leaves the rest to the services. */
export async function startReplay(
  run: Run,
  stack: AsyncDisposableStack,
  { answers, services }: Replayed,
): Promise<Upstream> {
  const folder = await mkdtemp(join(run.folder, 'answers-'));
  const files = [...answers].map(([target, body], index) => ({ target, body, name: `${index}.json` }));
  for (const { name, body } of files) await writeFile(join(folder, name), body);
  return startUpstream(run, stack, {
    http: `  map_hash_max_size 65536;
  map_hash_bucket_size 2048;
  open_file_cache max=100000 inactive=1h;
  open_file_cache_valid 1h;
  sendfile on;
  map $request_uri $answer {
    default none;
${files.map(({ target, name }) => `    '${target}' ${name};`).join('\n')}
  }`,
    locations: Object.entries(services)
      .map(
        ([segment, origin]) => `    location /${segment} { root ${folder}; try_files /$answer @${segment}; }
    location @${segment} { proxy_pass ${origin}; }`,
      )
      .join('\n'),
  });
}
