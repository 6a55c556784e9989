import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Program } from './support/program.ts';
import { startServer, type TestServer } from './support/upstream.ts';

const MiB = 1024 ** 2;

/** What is transferred, after one quarter of it as a warm-up, and what the gateway may have more in memory for it. */
const total = 1024 * MiB;
const warmUp = 256 * MiB;
const most = 16 * MiB;

/** After how much of a transfer the gateway is made to collect its garbage, and its memory is looked at. */
const every = 16 * MiB;

const block = Buffer.alloc(256 * 1024, 'x');

/**
 * What the process has of memory that is nobody else's: `RssAnon` of /proc/PID/status, hence without the pages of files,
 * such as the program itself. The gateway reads each 64 KiB of a body into a new buffer, and V8 lets some 64 MiB of dead
 * ones lie before it looks, whatever is transferred; that is how long it waits and not what the gateway holds. So a line
 * of code is put before the gateway's own that collects garbage whenever it is told to, which is many times in each
 * transfer while that goes on, in the warm-up as in what is measured. What then grows is what is held.
 */
const collector = `data:text/javascript,${encodeURIComponent(
  "process.on('SIGUSR2', () => { globalThis.gc(); process.stdout.write('collected\\n'); });",
)}`;

let folder: string;
let service: TestServer;
let gateway: Program;
let url: URL;
let pid: number;

beforeAll(async () => {
  service = await startServer((incoming, response) => {
    const size = Number(new URL(incoming.url!, 'http://x').searchParams.get('bytes'));
    if (size > 0) {
      response.writeHead(200, { 'content-length': size });
      void pour(response, size);
      return;
    }
    let received = 0;
    incoming.on('data', (chunk: Buffer) => (received += chunk.length));
    incoming.on('end', () => response.end(String(received)));
  });
  folder = await mkdtemp(join(tmpdir(), 'weir-memory-'));
  const file = join(folder, 'gateway.yaml');
  await writeFile(
    file,
    `listen: { port: 0, maxBodyBytes: 2GiB, drainDelay: 0ms }
admin: { port: 0 }
upstreams: { service: { endpoints: [${service.url}] } }
routes: [{ path: /big, upstream: service }]
`,
  );
  gateway = new Program(
    [process.execPath, '--expose-gc', '--import', collector, 'gateway/main.ts', 'start', '--config', file],
    { cwd: process.cwd() },
  );
  await gateway.until(({ stdout }) => stdout.includes('"listening"'));
  const line = gateway.stdout.split('\n').find((text) => text.includes('"listening"'))!;
  const listening = JSON.parse(line) as { readonly address: string; readonly pid: number };
  url = new URL('/big', listening.address);
  pid = listening.pid;
});

afterAll(async () => {
  gateway.signal('SIGTERM');
  expect(await gateway.end()).toBe(0);
  await service.close();
  await rm(folder, { recursive: true });
});

/** Writes that many bytes, as fast as they are taken. */
async function pour(to: Writable, bytes: number): Promise<void> {
  for (let sent = 0; sent < bytes; sent += block.length) if (!to.write(block)) await once(to, 'drain');
  to.end();
}

const anonymousBytes = () =>
  Number(/^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * 1024;

/** Looks at the gateway's memory while bytes go by. */
class Watch {
  peak = 0;
  looks = 0;
  #passed = 0;
  #looking: Promise<void> = Promise.resolve();

  pass(bytes: number): void {
    const before = Math.floor(this.#passed / every);
    this.#passed += bytes;
    if (Math.floor(this.#passed / every) > before) this.#looking = this.#looking.then(() => this.#look());
  }

  async #look(): Promise<void> {
    const collected = gateway.stdout.length;
    gateway.signal('SIGUSR2');
    await gateway.until(({ stdout }) => stdout.includes('collected', collected));
    this.peak = Math.max(this.peak, anonymousBytes());
    this.looks++;
  }

  done(): Promise<void> {
    return this.#looking;
  }
}

/** Both directions, one after the other. @returns what was seen of the gateway's memory */
async function transfer(bytes: number): Promise<Watch> {
  const watch = new Watch();
  const upload = request(url, { method: 'POST', headers: { 'content-length': bytes }, agent: false });
  const uploaded = once(upload, 'response') as Promise<[IncomingMessage]>;
  for (let sent = 0; sent < bytes; sent += block.length) {
    if (!upload.write(block)) await once(upload, 'drain');
    watch.pass(block.length);
  }
  upload.end();
  const [answer] = await uploaded;
  for await (const chunk of answer) expect(String(chunk)).toBe(String(bytes));
  const download = request(`${url.href}?bytes=${bytes}`, { agent: false });
  download.end();
  const [response] = (await once(download, 'response')) as [IncomingMessage];
  let received = 0;
  for await (const chunk of response) {
    received += (chunk as Buffer).length;
    watch.pass((chunk as Buffer).length);
  }
  expect(received).toBe(bytes);
  await watch.done();
  return watch;
}

describe.runIf(process.platform === 'linux')('An upload and a download of 1 GiB', () => {
  test(
    'take no more than 16 MiB above what the gateway had after a warm-up transfer',
    { timeout: 120_000 },
    async () => {
      const warm = await transfer(warmUp);
      const measured = await transfer(total);
      expect(measured.looks).toBeGreaterThan(32);
      expect((measured.peak - warm.peak) / MiB).toBeLessThanOrEqual(most / MiB);
    },
  );
});
