import { afterEach, describe, expect, test } from 'vitest';
import type { GatewayStatus } from '#gateway/control/gateway-status.ts';
import { startGateway, untilIdle, type TestGateway } from '../support/gateway.ts';
import { send, until } from '../support/raw-client.ts';
import { deadUrl, startServer, startUpstream } from '../support/upstream.ts';
import { createProject } from './project.ts';
import { weirAt } from './running.ts';

let gateway: TestGateway | undefined;
const closing: (() => Promise<void>)[] = [];

afterEach(async () => {
  if (gateway) {
    await untilIdle(gateway);
    await gateway.stop();
  }
  gateway = undefined;
  for (const close of closing.splice(0)) await close();
});

/** One service that is well, and one that nobody finds. */
async function start(admin: object = {}): Promise<TestGateway> {
  const service = await startUpstream((_request, response) => void response.end('ok'));
  closing.push(service.close);
  gateway = await startGateway({
    admin,
    upstreams: {
      healthy: { endpoints: [service.url], timeout: '3s' },
      gone: { endpoints: [await deadUrl()], retry: { attempts: 0 }, breaker: { failures: 2, openFor: '1m' } },
    },
    routes: [
      { name: 'healthy', path: '/healthy/*path', upstream: 'healthy' },
      { name: 'gone', path: '/gone/*path', upstream: 'gone' },
    ],
  });
  return gateway;
}

describe('weir status', () => {
  test('says that nothing is wrong, and exits with 0', async () => {
    const { adminUrl } = await start();
    const { status, stdout, stderr } = await weirAt(adminUrl)('status');
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^Nothing is wrong\.\n/);
    expect(stdout).toMatch(
      /^ {2}UPSTREAM +BREAKER +SINCE +RATE +ERRORS +P50 +P95 +P99 +TIMEOUT +IN FLIGHT +UP +OWNER$/m,
    );
    expect(stdout).toMatch(/^ {2}healthy +closed +\d+ s +0\/s +– +– +– +– +3 s +0\/256 +1\/1 +–$/m);
    expect(stdout).toMatch(
      /^Gateway \S+, pid \d+: ready, up \d+ s, 0\/4096 in flight, event loop \S+ ms late, \d+ MiB$/m,
    );
    expect(stdout).toMatch(/^Configuration \w+ of \S+test\.yaml, applied \d+ s ago$/m);
    expect(stdout).not.toContain('Overrides');
  });

  test('puts the sick upstream first, marked, with its last error, and exits with 1', async () => {
    const { url, adminUrl } = await start();
    for (const path of ['/gone/1', '/gone/2', '/gone/3', '/healthy/1']) await send(url + path);
    const { status, stdout } = await weirAt(adminUrl)('status');
    expect(status).toBe(1);
    const lines = stdout.split('\n');
    expect(lines.slice(0, 2)).toEqual(['Something is wrong:', '  ! gone: its breaker is open']);
    const rows = lines.slice(lines.findIndex((line) => line.includes('UPSTREAM')) + 1);
    expect(rows[0]).toMatch(/^! gone +open, probe in \d+ s +\d+ s +\S+\/s +100 % +– +– +– +30 s +0\/256 +1\/1 +–$/);
    expect(rows[1]).toMatch(/^ {6}last error UPSTREAM_UNREACHABLE \d+ s ago at http:\/\/127\.0\.0\.1:\d+$/);
    expect(rows[2]).toMatch(/^ {2}healthy +closed +\d+ s +\S+\/s +0 % +\S+ ms +\S+ ms +\S+ ms +3 s +0\/256 +1\/1 +–$/);
  });

  test('lists the overrides in force: who, why, how long still', async () => {
    const { adminUrl } = await start();
    const weir = weirAt(adminUrl);
    await weir('upstream', 'healthy', 'open', '--for', '2h', '--by', 'anna', '--reason', 'incident 12');
    const { status, stdout } = await weir('status');
    expect(status).toBe(1);
    expect(stdout).toContain('! healthy: an operator holds its breaker open: all calls are refused\n');
    expect(stdout).toMatch(/^! healthy +held open +\d+ s /m);
    expect(stdout).toMatch(/^ {6}held for 1 h 59 m more$/m);
    expect(stdout).toMatch(
      /^Overrides\n {2}[\da-f]{8} {2}upstream healthy open, by anna, 1 h 59 m left: incident 12$/m,
    );
  });

  test('prints all that is known as JSON', async () => {
    const { adminUrl } = await start();
    const { status, stdout } = await weirAt(adminUrl)('status', '--json');
    expect(status).toBe(0);
    const told = JSON.parse(stdout) as GatewayStatus;
    expect(told).toMatchObject({
      version: expect.stringMatching(/^\d+\.\d+\.\d+/) as string,
      problems: [],
      processes: [{ pid: process.pid, phase: 'ready', inFlight: 0, maxInFlight: 4096, shedding: false, passed: 1 }],
      configuration: { hash: expect.any(String) as string },
      overrides: [],
      upstreams: [{ name: 'healthy', timeoutMs: 3_000 }, { name: 'gone' }],
    });
  });

  test('says that no gateway answers, and exits with 1', async () => {
    const adminUrl = await deadUrl();
    expect(await weirAt(adminUrl)('status')).toEqual({
      status: 1,
      stdout: '',
      stderr: `The gateway does not answer at ${adminUrl} (admin.host and admin.port): nothing listens there. Fix: start it, or name its configuration with --config FILE.\n`,
    });
  });

  test('says that something else answers there', async () => {
    const other = await startServer((_request, response) => void response.end('<html>'));
    closing.push(other.close);
    const { status, stderr } = await weirAt(other.url)('status');
    expect([status, stderr]).toEqual([
      1,
      `What answers at ${other.url} (admin.host and admin.port) is no gateway of this version: GET /admin/status was answered with status 200 and no content type. Fix: name its configuration with --config FILE.\n`,
    ]);
  });

  test('says that the connection broke off', async () => {
    const other = await startServer((request) => request.socket.destroy());
    closing.push(other.close);
    const { status, stderr } = await weirAt(other.url)('status');
    expect(status).toBe(1);
    expect(stderr).toMatch(/^The gateway does not answer at .*: socket hang up\. Fix: /);
  });

  test('says that the token is wrong, and takes the right one from the configuration', async () => {
    const { adminUrl } = await start({ token: 'a-long-token' });
    const { status, stderr } = await weirAt(adminUrl)('status');
    expect(status).toBe(1);
    expect(stderr).toMatch(/^The gateway at \S+ refuses the admin token\. Fix: /);
    expect((await weirAt(adminUrl, { token: 'a-long-token' })('status')).status).toBe(0);
  });

  test('asks this machine where the configuration says all addresses', async () => {
    const { adminUrl } = await start({ token: 'a-long-token', host: '0.0.0.0' });
    expect((await weirAt(adminUrl, { token: 'a-long-token', host: '0.0.0.0' })('status')).status).toBe(0);
  });

  test('asks the default address where the file is wrong, or is not there', async () => {
    const { stderr } = await createProject({ 'gateway.yaml': ': [' }).weir('status');
    // Whoever listens at the default port of this machine is not ours to ask about.
    expect(stderr === '' || stderr.includes('http://127.0.0.1:4001')).toBe(true);
  });

  test('shows how endpoints are, where one of them is out', async () => {
    const sick = await startUpstream((_request, response) => void response.writeHead(500).end());
    const well = await startUpstream((_request, response) => void response.end('ok'));
    closing.push(sick.close, well.close);
    gateway = await startGateway({
      upstreams: {
        pair: { endpoints: [sick.url, well.url], health: { path: '/health', every: '100ms', unhealthyAfter: 1 } },
      },
      routes: [{ path: '/*path', upstream: 'pair' }],
    });
    const weir = weirAt(gateway.adminUrl);
    const pair = () => gateway!.gateway.assembly.upstreams.get('pair')!;
    await until(() => pair().endpoints.some(({ healthy }) => !healthy));
    const { status, stdout } = await weir('status');
    expect(status).toBe(1);
    expect(stdout).toContain(`  ! pair: 1 of 2 endpoints is out: ${sick.url} (unhealthy)\n`);
    expect(stdout).toMatch(
      new RegExp(
        String.raw`^ {6}${sick.url} +unhealthy +for \d+ s, 0 in flight, next check (in \d+ s|now), last error UPSTREAM_ERROR \(status 500\) \d+ s ago$`,
        'm',
      ),
    );
    expect(stdout).not.toContain(well.url);
  });
});
