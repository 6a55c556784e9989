import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readAnswers } from '../support/answers.ts';
import { startProgram, type RunningProgram } from '../support/program.ts';
import { RawClient } from '../support/raw-client.ts';
import { startRecorder, type Recorder } from '../support/recorder.ts';

/** A gateway whose Node was told to forgive. */
let folder: string;
let service: Recorder;
let program: RunningProgram;
let url: string;

beforeAll(async () => {
  service = await startRecorder();
  folder = mkdtempSync(join(tmpdir(), 'weir-parser-'));
  const file = join(folder, 'gateway.yaml');
  writeFileSync(
    file,
    JSON.stringify({
      listen: { port: 0, drainDelay: '0ms' },
      admin: { port: 0 },
      upstreams: { service: { endpoints: [service.url] } },
      routes: [{ path: '/p', upstream: 'service' }],
    }),
  );
  program = await startProgram(['--insecure-http-parser', 'gateway/main.ts', 'start', '--config', file], {
    cwd: process.cwd(),
  });
  url = String(program.listening.address);
});

afterAll(async () => {
  await program.stop();
  await service.close();
  rmSync(folder, { recursive: true });
});

test.each([
  ['a length and a coding (RFC 9112 §6.3)', 'POST', ['Content-Length: 5', 'Transfer-Encoding: chunked'], '0\r\n\r\n'],
  ['chunked before another coding (RFC 9112 §6.3)', 'POST', ['Transfer-Encoding: chunked, gzip'], '0\r\n\r\n'],
  ['a space before the colon (RFC 9112 §5.1)', 'GET', ['X-A : 1'], ''],
  ['a line that ends in a bare LF (RFC 9112 §2.2)', 'GET', ['X-A: 1\nX-B: 2'], ''],
  ['a folded line (RFC 9112 §5.2)', 'GET', ['X-A: 1', ' 2'], ''],
  ['a control character in a value (RFC 9110 §5.5)', 'GET', ['X-A: \x01'], ''],
])('%s is refused under --insecure-http-parser too', async (_, method, lines, body) => {
  const client = await RawClient.connect(url);
  client.head(`${method} /p HTTP/1.1`, 'Host: x', ...lines).write(body);
  expect(readAnswers(await client.end()).map(({ status }) => status)).toEqual([400]);
  expect(service.bytes).toBe(0);
});
