import { resolve } from 'node:path';
import { rmSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ConfigurationStatus, Prepared } from '#gateway/control/reload.ts';
import { Reloads } from '#gateway/control/reload.ts';
import { systemClock } from '#core/clock.ts';
import { silentLogger } from '#core/log.ts';
import { openProject } from '#gateway/project.ts';
import { FileGateway } from '../support/file-gateway.ts';
import { GatewayProgram } from '../support/gateway-program.ts';
import { freePort } from '../support/ports.ts';
import { runProgram } from '../support/program.ts';
import { send, until } from '../support/raw-client.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';

const root = resolve(import.meta.dirname, '../..');

let upstream: TestUpstream;
let gateway: FileGateway | undefined;

beforeEach(async () => {
  upstream = await startUpstream((_request, response) => void response.end('thing'));
});

afterEach(async () => {
  await gateway?.stop();
  gateway = undefined;
  await upstream.close();
});

/** A gateway that serves these paths. */
const serving = (...paths: string[]) => ({
  upstreams: { things: { endpoints: [upstream.url] } },
  routes: paths.map((path) => ({ path, upstream: 'things' })),
});

async function started(config: object | string = serving('/one'), env?: Record<string, string>): Promise<FileGateway> {
  return (gateway = await FileGateway.start(config, env && { env }));
}

async function statuses({ url }: FileGateway, ...paths: string[]): Promise<number[]> {
  return Promise.all(paths.map(async (path) => (await send(url + path)).status));
}

const configuration = async ({ adminUrl }: FileGateway) =>
  (await send(`${adminUrl}/admin/config`)).json() as unknown as ConfigurationStatus;

describe('A reload', () => {
  test('lets the file take over, from the next request on', async () => {
    const running = await started();
    expect(await statuses(running, '/one', '/two')).toEqual([200, 404]);
    expect(await running.change(serving('/two'))).toMatchObject({ ok: true, changed: true, needsRestart: [] });
    expect(await statuses(running, '/one', '/two')).toEqual([404, 200]);
  });

  test('of a file that says the same in other words changes nothing, and a rollback knows nothing of it', async () => {
    const running = await started();
    const report = await running.change(`# in other words\n${running.text}`);
    expect(report).toMatchObject({ ok: true, changed: false });
    expect((await configuration(running)).previous).toBeUndefined();
    expect((await running.rollback()).error).toContain('nothing to roll back to');
    expect(running.text).toMatch(/^# in other words/);
  });

  test.each([
    ['is no YAML', () => 'listen: [', 'gateway.yaml:1'],
    ['says what cannot be', () => JSON.stringify({ ...serving('/two'), cors: { origins: 7 } }), 'cors.origins'],
    [
      'names an upstream that there is none of',
      () => JSON.stringify({ routes: [{ path: '/two', upstream: 'gone' }] }),
      'gone',
    ],
    ['has routes that cannot be told apart', () => JSON.stringify(serving('/:a', '/:b')), '/:a'],
    [
      'names a certificate that is none',
      () =>
        JSON.stringify({
          upstreams: { things: { endpoints: ['https://127.0.0.1:1'], tls: { ca: './gateway.yaml' } } },
          routes: [{ path: '/two', upstream: 'things' }],
        }),
      'upstreams.things.tls',
    ],
  ])('of a file that %s changes nothing, and says why', async (_what, text, why) => {
    const running = await started();
    const before = await configuration(running);
    const { ok, changed, hash, error } = await running.change(text());
    expect({ ok, changed, hash }).toEqual({ ok: false, changed: false, hash: before.hash });
    expect(error).toContain(why);
    expect(await statuses(running, '/one', '/two')).toEqual([200, 404]);
    expect(running.log.find(({ msg }) => msg === 'reload refused')).toMatchObject({ level: 'error', error });
    const after = await configuration(running);
    expect(after).toMatchObject({ ...before, lastAttempt: { kind: 'reload', ok: false, error } });
    // The next good one is taken.
    expect(await running.change(serving('/two'))).toMatchObject({ ok: true });
    expect(await statuses(running, '/one', '/two')).toEqual([404, 200]);
  });

  test('of a file that is gone changes nothing', async () => {
    const running = await started();
    rmSync(running.file);
    expect(await running.reload()).toMatchObject({
      ok: false,
      error: expect.stringContaining('does not exist') as string,
    });
    expect(await statuses(running, '/one')).toEqual([200]);
  });

  test('names what waits for a restart by its keys, and never by values, which may be secrets', async () => {
    const config = (token: string, more: object = {}) => ({
      ...serving('/one'),
      admin: { token },
      telemetry: { serviceName: 'weir', ...more },
    });
    const running = await started(config('first-secret'));
    const report = await running.change({
      ...config('second-secret', { serviceName: 'other' }),
      listen: { port: 1, trustedProxies: ['10.1.2.3'] },
      modules: '.',
    });
    // There are no modules in that folder, but a restart would load them: that is what it is told of.
    expect(report).toMatchObject({
      ok: true,
      needsRestart: ['listen.port', 'listen.trustedProxies', 'admin.token', 'telemetry.serviceName', 'modules'],
    });
    expect(JSON.stringify([report, running.log])).not.toMatch(/secret|10\.1\.2\.3/);
    const status = await send(`${running.adminUrl}/admin/config`, {
      headers: { authorization: 'Bearer first-secret' },
    });
    expect(status.json()).toMatchObject({ needsRestart: report.needsRestart });
    expect(await running.change(config('first-secret'))).toMatchObject({ needsRestart: [] });
  });

  test('says nothing of a secret in what is wrong with the file', async () => {
    const running = await started(serving('/one'), { TOKEN: 'hunter2-hunter2' });
    const { error } = await running.change({ ...serving('/one'), telemetry: { otlp: '${env.TOKEN}' } });
    expect(error).toContain('telemetry.otlp');
    expect(JSON.stringify([error, running.log, await configuration(running)])).not.toContain('hunter2');
  });

  test('that is asked for many times at once is as many as it takes', async () => {
    const running = await started();
    running.write(serving('/two'));
    const first = Array.from({ length: 50 }, () => running.reload());
    await first[0];
    running.write(serving('/three'));
    const second = running.reload();
    const hashes = new Set((await Promise.all(first)).map(({ hash }) => hash));
    expect(hashes.size).toBe(1);
    expect((await second).hash).not.toBe([...hashes][0]);
    expect(await statuses(running, '/two', '/three')).toEqual([404, 200]);
    expect(running.log.filter(({ msg }) => msg === 'reloaded')).toHaveLength(2);
  });

  test('is refused once the gateway stops', async () => {
    const running = await started({ ...serving('/one'), listen: { drainDelay: '300ms' } });
    const stopped = running.gateway.stop();
    expect(await running.change(serving('/two'))).toMatchObject({
      ok: false,
      error: expect.stringContaining('stopping') as string,
    });
    expect(await statuses(running, '/one', '/two')).toEqual([200, 404]);
    await stopped;
  });

  test('/admin/config says what serves, since when, and how the last attempt went', async () => {
    const running = await started();
    const first = await configuration(running);
    expect(first).toMatchObject({ file: running.file, needsRestart: [] });
    expect(first.lastAttempt ?? first.previous).toBeUndefined();
    const { hash } = await running.change(serving('/two'));
    const second = await configuration(running);
    expect(second).toMatchObject({
      hash,
      previous: { hash: first.hash, appliedAt: first.appliedAt },
      lastAttempt: { kind: 'reload', ok: true },
    });
    expect(Date.parse(second.appliedAt)).toBeGreaterThanOrEqual(Date.parse(first.appliedAt));
    expect(JSON.stringify(second)).not.toContain(upstream.url);
  });

  test('counts, by outcome', async () => {
    const running = await started();
    await running.change(serving('/two'));
    await running.change('listen: [');
    const { text } = await send(`${running.adminUrl}/metrics`);
    expect(text).toContain('weir_config_reloads_total{weir_reload_outcome="applied"} 1');
    expect(text).toContain('weir_config_reloads_total{weir_reload_outcome="refused"} 1');
  });

  test('that fails in a way nobody thought of is refused too, and takes nothing down', async () => {
    const running = await started();
    const project = await openProject({ config: running.file });
    const prepare = (): Prepared => {
      throw new TypeError('x is not a function');
    };
    const reloads = new Reloads({ project, prepare }, systemClock, silentLogger);
    const report = await reloads.reload();
    expect(report).toMatchObject({ ok: false, error: expect.stringContaining('cannot explain') as string });
    expect(report.error).not.toContain('x is not a function');
  });
});

describe('weir reload', { timeout: 60_000 }, () => {
  let program: GatewayProgram;
  const weir = (...args: string[]) => runProgram(['gateway/main.ts', ...args], { cwd: root });

  afterEach(() => program.kill());

  test('waits, and says what serves; of a bad file it prints what is wrong and exits 1; rollback mends it', async () => {
    const admin = { port: await freePort() };
    program = await GatewayProgram.start({ ...serving('/one'), admin });
    program.write({ ...serving('/two'), admin, telemetry: { serviceName: 'other' } });
    const done = await weir('reload', '--config', program.file);
    expect(done).toMatchObject({ status: 0, stderr: '' });
    expect(done.stdout).toMatch(/^Reloaded: [0-9a-f]{16}\.\nWaits for a restart: telemetry\.serviceName\.\n$/);
    expect((await send(`${program.url}/two`)).status).toBe(200);

    // The admin address stays readable in a file that is wrong elsewhere.
    program.write({ ...serving('/three'), admin, routes: [{ path: '/three', upstream: 'nowhere' }] });
    const refused = await weir('reload', '--config', program.file);
    expect(refused).toMatchObject({ status: 1, stdout: '' });
    expect(refused.stderr).toContain('nowhere');
    expect(refused.stderr).toMatch(/Nothing has changed: [0-9a-f]{16} goes on serving\.\n$/);
    expect((await send(`${program.url}/two`)).status).toBe(200);

    const back = await weir('rollback', '--config', program.file);
    expect(back).toMatchObject({ status: 0, stderr: '' });
    expect((await weir('reload', '--config', program.file)).stdout).toMatch(/, as before\.\n/);
  });

  test('SIGHUP does the same, and a bad file does not end the gateway', async () => {
    program = await GatewayProgram.start(serving('/one'));
    writeFileSync(program.file, 'listen: [');
    program.program.signal('SIGHUP');
    await program.logged(({ msg }) => msg === 'reload refused');
    expect((await send(`${program.url}/one`)).status).toBe(200);
    program.write(serving('/two'));
    program.program.signal('SIGHUP');
    await program.logged(({ msg }) => msg === 'reloaded');
    await until(async () => (await send(`${program.url}/two`)).status === 200);
    expect(await program.stop()).toBe(0);
  });
});
