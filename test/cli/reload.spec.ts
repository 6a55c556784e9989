import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Gateway, urlOf } from '#gateway/gateway.ts';
import { openProject } from '#gateway/project.ts';
import { freePort } from '../support/ports.ts';
import { send } from '../support/raw-client.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';
import { weirAt, type Weir } from './running.ts';

let service: TestUpstream;
let folder: string;
let file: string;
let port: number;
let gateway: Gateway;
let url: string;
let adminUrl: string;
let weir: Weir;
let log: Record<string, unknown>[];

/** A configuration with one route of this path. */
function write(path: string, more: object = {}): void {
  const config = {
    listen: { port, drainDelay: '0ms' },
    admin: { port: 0 },
    upstreams: { things: { endpoints: [service.url] } },
    routes: [{ name: 'things', path, upstream: 'things' }],
    ...more,
  };
  writeFileSync(file, JSON.stringify(config, null, 2));
}

beforeEach(async () => {
  service = await startUpstream((_request, response) => void response.end('ok'));
  folder = mkdtempSync(join(tmpdir(), 'weir-reload-'));
  file = join(folder, 'gateway.yaml');
  port = await freePort();
  write('/first');
  log = [];
  gateway = new Gateway(await openProject({ config: file }), {
    logDestination: { write: (line: string) => void log.push(JSON.parse(line) as Record<string, unknown>) },
  });
  const { address, admin } = await gateway.start();
  url = urlOf(address);
  adminUrl = urlOf(admin);
  weir = weirAt(adminUrl);
});

afterEach(async () => {
  await gateway.stop(0);
  await service.close();
  rmSync(folder, { recursive: true });
});

const status = async (path: string) => (await send(url + path)).status;
const hash = async () => (await gateway.control.configuration()).hash;
const audit = () => log.filter(({ msg }) => msg === 'operator');

describe('weir reload', () => {
  test('lets the file as it is now take over, and says so', async () => {
    write('/second');
    expect(await weir('reload')).toEqual({ status: 0, stdout: `Reloaded: ${await hash()}.\n`, stderr: '' });
    expect([await status('/first'), await status('/second')]).toEqual([404, 200]);
  });

  test('says that nothing is different', async () => {
    const { stdout } = await weir('reload');
    expect(stdout).toBe(`Reloaded: ${await hash()}, as before.\n`);
  });

  test('exits with 1 and says what is wrong with the file; what served goes on', async () => {
    const before = await hash();
    write('/second', { upstreams: { things: { endpoints: ['nowhere'], retries: 3 } } });
    const outcome = await weir('reload');
    expect([outcome.status, outcome.stdout]).toEqual([1, '']);
    expect(outcome.stderr).toContain('gateway.yaml:');
    expect(outcome.stderr).toContain('upstreams.things.retries');
    expect(outcome.stderr).toMatch(new RegExp(`\nNothing has changed: ${before} goes on serving\\.\n$`));
    expect([await status('/first'), await hash()]).toEqual([200, before]);
  });

  test('says what waits for a restart', async () => {
    write('/second', { listen: { port, maxInFlight: 7 } });
    const { status: exit, stdout } = await weir('reload');
    expect(exit).toBe(0);
    expect(stdout).toMatch(/^Waits for a restart: .*listen\.maxInFlight/m);
    expect((await weir('status')).stdout).toMatch(/; a restart is needed for .*listen\.maxInFlight/);
  });

  test('leaves a refused file to be seen by weir status, until one is taken', async () => {
    write('/second', { routes: [{ path: '/x', upstream: 'other' }] });
    await weir('reload');
    const sick = await weir('status');
    expect(sick.status).toBe(1);
    expect(sick.stdout).toMatch(/^ {2}! the last reload \(\S+\) was refused, \w+ goes on: .*other/ms);
    write('/second');
    await weir('reload');
    expect((await weir('status')).status).toBe(0);
  });

  test('goes on holding what is held by name, also what leaves with one file and comes back with another', async () => {
    const other = await startUpstream((_request, response) => void response.end('ok'));
    const endpoints = (...urls: readonly string[]) => write('/first', { upstreams: { things: { endpoints: urls } } });
    endpoints(service.url, other.url);
    await weir('reload');
    await weir('endpoint', other.url, 'drain');
    endpoints(service.url);
    await weir('reload');
    endpoints(service.url, other.url);
    await weir('reload');
    const states = (await gateway.control.upstreams())[0]!.endpoints.map(({ state }) => state);
    expect(states).toEqual(['up', 'drained']);
    for (let call = 0; call < 4; call++) expect(await status('/first')).toBe(200);
    expect(other.requests).toEqual([]);
    await other.close();
  });

  test('holds an upstream that is new by the name of one that was held', async () => {
    await weir('upstream', 'things', 'open');
    write('/first', {
      upstreams: { renamed: { endpoints: [service.url] } },
      routes: [{ path: '/first', upstream: 'renamed' }],
    });
    await weir('reload');
    expect(await status('/first')).toBe(200);
    write('/first');
    await weir('reload');
    expect(await status('/first')).toBe(503);
  });

  test('is written down with who and why', async () => {
    await weir('reload', '--by', 'anna', '--reason', 'new route');
    await weir('rollback', '--by', 'ben');
    expect(audit()).toMatchObject([
      { level: 'warn', happened: 'reload', ok: true, by: 'anna', reason: 'new route', from: '127.0.0.1' },
      { happened: 'rollback', ok: false, by: 'ben' },
    ]);
  });

  test('by curl, with no body and no name, is taken and written down too', async () => {
    const answer = await send(`${adminUrl}/admin/reload`, { method: 'POST' });
    expect([answer.status, answer.json().hash]).toEqual([200, await hash()]);
    expect(audit()).toMatchObject([{ happened: 'reload', by: 'unknown' }]);
  });
});

describe('weir rollback', () => {
  test('brings the file before back, which serves and is written', async () => {
    const before = readFileSync(file, 'utf8');
    write('/second');
    await weir('reload');
    expect(await weir('rollback')).toEqual({ status: 0, stdout: `Rolled back: ${await hash()}.\n`, stderr: '' });
    expect([await status('/first'), readFileSync(file, 'utf8')]).toEqual([200, before]);
  });

  test('exits with 1 where there is nothing to go back to', async () => {
    const { status: exit, stderr } = await weir('rollback');
    expect(exit).toBe(1);
    expect(stderr).toContain('There is nothing to roll back to: this process has served one configuration only.\n');
  });

  test('exits with 1 and says so where the file could not be restored', async () => {
    write('/second');
    await weir('reload');
    rmSync(folder, { recursive: true });
    const { status: exit, stderr } = await weir('rollback');
    expect([exit, await status('/first')]).toEqual([1, 200]);
    expect(stderr).toMatch(/^The file could not be restored \(.*ENOENT.*\)\. Fix: write it yourself, /);
    folder = mkdtempSync(join(tmpdir(), 'weir-reload-'));
  });
});
