import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { restoreFile } from '#gateway/control/restore-file.ts';
import { FileGateway } from '../support/file-gateway.ts';
import { startGateway } from '../support/gateway.ts';
import { runProgram } from '../support/program.ts';
import { send } from '../support/raw-client.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';

let upstream: TestUpstream;
let gateway: FileGateway;

const serving = (...paths: string[]) => ({
  upstreams: { things: { endpoints: [upstream.url] } },
  routes: paths.map((path) => ({ path, upstream: 'things' })),
});

const statuses = (...paths: string[]) =>
  Promise.all(paths.map(async (path) => (await send(gateway.url + path)).status));

beforeEach(async () => {
  upstream = await startUpstream((_request, response) => void response.end('thing'));
  gateway = await FileGateway.start(serving('/one'));
});

afterEach(async () => {
  await gateway.stop();
  await upstream.close();
});

/** What is left in the folder besides the file. */
const litter = () => readdirSync(gateway.folder).filter((name) => name !== 'gateway.yaml');

describe('A rollback', () => {
  test('after a reload that was refused writes back what serves', async () => {
    const good = gateway.text;
    await gateway.change('listen: [');
    const report = await gateway.rollback();
    expect(report).toMatchObject({ ok: true, changed: false });
    expect(report.notWritten).toBeUndefined();
    expect(gateway.text).toBe(good);
    expect(litter()).toEqual([]);
    expect(await gateway.reload()).toMatchObject({ ok: true, changed: false });
  });

  test('after one that took over restores the one before, to serve and in the file', async () => {
    const good = gateway.text;
    const { hash } = await gateway.change(serving('/two'));
    const report = await gateway.rollback();
    expect(report).toMatchObject({ ok: true, changed: true });
    expect(report.hash).not.toBe(hash);
    expect(await statuses('/one', '/two')).toEqual([200, 404]);
    expect(gateway.text).toBe(good);
    expect(gateway.log.find(({ msg }) => msg === 'rolled back')).toMatchObject({ level: 'warn', hash: report.hash });
  });

  test('goes one further back each time, and never forward again to what was fled from', async () => {
    for (const path of ['/two', '/three', '/four']) await gateway.change(serving(path));
    await gateway.rollback();
    expect(await statuses('/three', '/four')).toEqual([200, 404]);
    await gateway.rollback();
    expect(await statuses('/two', '/three')).toEqual([200, 404]);
    await gateway.rollback();
    expect(await statuses('/one', '/two')).toEqual([200, 404]);
    expect(await gateway.rollback()).toMatchObject({ ok: false, error: expect.stringContaining('nothing') as string });
    expect(await statuses('/one')).toEqual([200]);
  });

  test('that several operators ask for at once is one', async () => {
    for (const path of ['/two', '/three']) await gateway.change(serving(path));
    const reports = await Promise.all([gateway.rollback(), gateway.rollback(), gateway.rollback()]);
    expect(new Set(reports.map(({ hash }) => hash)).size).toBe(1);
    expect(await statuses('/two', '/three')).toEqual([200, 404]);
  });

  test('to what can serve no more changes nothing, and another reload is still possible', async () => {
    const secret = join(gateway.folder, 'secret');
    writeFileSync(secret, 'x');
    await gateway.change({ ...serving('/two'), telemetry: { serviceName: `\${file:${secret}}` } });
    await gateway.change(serving('/three'));
    rmSync(secret);
    const text = gateway.text;
    for (let turn = 0; turn < 2; turn++) {
      expect(await gateway.rollback()).toMatchObject({ ok: false, error: expect.stringContaining('secret') as string });
      expect(await statuses('/two', '/three')).toEqual([404, 200]);
      expect(gateway.text).toBe(text);
    }
    expect(await gateway.change(serving('/four'))).toMatchObject({ ok: true });
  });

  test('of a file that was deleted puts it back', async () => {
    const good = gateway.text;
    rmSync(gateway.file);
    await gateway.reload();
    expect((await gateway.rollback()).notWritten).toBeUndefined();
    expect(gateway.text).toBe(good);
    // Nobody else may read what may hold secrets, as long as nobody says so.
    expect(statSync(gateway.file).mode & 0o777).toBe(0o600);
  });

  test('keeps the mode of the file, and its owner', async () => {
    chmodSync(gateway.file, 0o640);
    // As root one can; otherwise it is one's own already.
    if (process.getuid?.() === 0) chownSync(gateway.file, 12_345, 12_346);
    const { uid, gid } = statSync(gateway.file);
    await gateway.change('listen: [');
    await gateway.rollback();
    expect(statSync(gateway.file)).toMatchObject({ uid, gid });
    expect(statSync(gateway.file).mode & 0o777).toBe(0o640);
  });

  test('leaves a symbolic link alone, as Kubernetes makes them of ConfigMaps, and says so', async () => {
    // ..data -> ..2026_11_21, gateway.yaml -> ..data/gateway.yaml
    const data = join(gateway.folder, '..2026_11_21');
    mkdirSync(data);
    renameSync(gateway.file, join(data, 'gateway.yaml'));
    symlinkSync('..2026_11_21', join(gateway.folder, '..data'));
    symlinkSync('..data/gateway.yaml', gateway.file);
    const bad = 'listen: [';
    expect(await gateway.change(bad)).toMatchObject({ ok: false });
    expect(await gateway.rollback()).toMatchObject({ ok: true, notWritten: expect.stringContaining('link') as string });
    expect(lstatSync(gateway.file).isSymbolicLink()).toBe(true);
    expect(readlinkSync(gateway.file)).toBe('..data/gateway.yaml');
    expect(gateway.text).toBe(bad);
    expect(await statuses('/one')).toEqual([200]);
  });

  test('of what came from no file writes none', async () => {
    const other = await startGateway({ ...serving('/one') });
    const { control } = other.gateway;
    const before = readdirSync('.');
    await control.reload();
    await control.rollback();
    expect(readdirSync('.')).toEqual(before);
    await other.stop();
  });
});

describe('Restoring a file', () => {
  test('says why it cannot, and leaves nothing beside it: a folder that is gone', () => {
    const folder = mkdtempSync(join(tmpdir(), 'weir-restore-'));
    rmSync(folder, { recursive: true });
    expect(restoreFile(join(folder, 'gateway.yaml'), 'text')).toContain('ENOENT');
  });

  test('says why it cannot, and leaves nothing beside it: a folder that nobody may write to', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'weir-restore-'));
    const file = join(folder, 'gateway.yaml');
    writeFileSync(file, 'bad');
    chmodSync(file, 0o644);
    chmodSync(folder, 0o555);
    // Root may write anywhere, so it is done as somebody else.
    const script = `
      if (process.getuid() === 0) { process.setgid(65534); process.setuid(65534); }
      const { restoreFile } = await import(${JSON.stringify(new URL('../../gateway/control/restore-file.ts', import.meta.url).href)});
      console.log(restoreFile(${JSON.stringify(file)}, 'good'));`;
    const { stdout } = await runProgram(['--input-type=module', '--eval', script], { cwd: tmpdir() });
    expect(stdout).toMatch(/EACCES/);
    expect(readdirSync(folder)).toEqual(['gateway.yaml']);
    chmodSync(folder, 0o755);
    rmSync(folder, { recursive: true });
  });
});
