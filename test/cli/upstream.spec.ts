import { userInfo } from 'node:os';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { usage } from '#gateway/cli/arguments.ts';
import { startGateway, untilIdle, type TestGateway } from '../support/gateway.ts';
import { send } from '../support/raw-client.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';
import { weirAt, type Weir } from './running.ts';

let service: TestUpstream;
let gateway: TestGateway;
let weir: Weir;

beforeEach(async () => {
  service = await startUpstream((request, response) => {
    response.statusCode = request.url!.startsWith('/sick') ? 500 : 200;
    response.end('ok');
  });
  gateway = await startGateway({
    upstreams: {
      orders: { endpoints: [service.url], retry: { attempts: 0 }, breaker: { failures: 2 }, timeout: '3s' },
      users: { endpoints: [service.url] },
    },
    routes: [{ path: '/*path', upstream: 'orders' }],
  });
  weir = weirAt(gateway.adminUrl);
});

afterEach(async () => {
  await untilIdle(gateway);
  await gateway.stop();
  await service.close();
});

let asked = 0;
const ask = async (path = '') => (await send(`${gateway.url}/${path}${asked++}`)).status;

describe('weir upstream', () => {
  test('NAME shows one upstream with all of its endpoints', async () => {
    await ask();
    const { status, stdout } = await weir('upstream', 'orders');
    expect(status).toBe(0);
    expect(stdout.split('\n')).toEqual([
      expect.stringMatching(/^ {2}UPSTREAM +BREAKER +SINCE/),
      expect.stringMatching(/^ {2}orders +closed +\d+ s +\S+\/s +0 % +\S+ ms +\S+ ms +\S+ ms +3 s +0\/256 +1\/1 +–$/),
      '      last minute 1 calls, 0 % refused; attempts may take 5 s; 0 retries since the start',
      '      connections 0 of 128 in use, 0 calls wait for one',
      expect.stringMatching(new RegExp(String.raw`^ {6}${service.url} {2}up {2}for \d+ s, 0 in flight$`)),
      '',
    ]);
  });

  test('NAME exits with 1 when something is wrong with it, and says what', async () => {
    await ask('sick');
    await ask('sick');
    const { status, stdout } = await weir('upstream', 'orders');
    expect(status).toBe(1);
    expect(stdout).toMatch(/^! its breaker is open\n/);
    expect(stdout).toMatch(/^ {6}last error UPSTREAM_ERROR \(status 500\) \d+ s ago at http/m);
    expect((await weir('upstream', 'users')).status).toBe(0);
  });

  test('NAME --json prints what /admin/upstreams/NAME says', async () => {
    const { stdout } = await weir('upstream', 'orders', '--json');
    const told = (await send(`${gateway.adminUrl}/admin/upstreams/orders`)).json();
    expect(Object.keys(JSON.parse(stdout) as object)).toEqual(Object.keys(told));
  });

  test('NAME open refuses calls until NAME auto lets it go by its calls again', async () => {
    const held = await weir('upstream', 'orders', 'open', '--for', '5m');
    expect(held).toMatchObject({ status: 0, stderr: '' });
    expect(held.stdout).toMatch(
      /^The breaker of 'orders' is held open: calls are refused, until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\.\n$/,
    );
    expect(await ask()).toBe(503);
    expect(await weir('upstream', 'orders', 'auto')).toEqual({
      status: 0,
      stdout: "The breaker of 'orders' goes by its calls again.\n",
      stderr: '',
    });
    expect(await ask()).toBe(200);
    expect((await weir('upstream', 'orders', 'auto')).stdout).toBe("The breaker of 'orders' was not held.\n");
  });

  test('NAME close lets calls flow, whatever becomes of them', async () => {
    const { stdout } = await weir('upstream', 'orders', 'close');
    expect(stdout).toMatch(/^The breaker of 'orders' is held closed: calls flow, whatever becomes of them, until /);
    for (let call = 0; call < 4; call++) expect(await ask('sick')).toBe(500);
  });

  test('holds for ten minutes unless told otherwise, in the name of who is logged in', async () => {
    await weir('upstream', 'orders', 'open');
    const [override] = await gateway.gateway.control.overrides();
    expect(Date.parse(override!.until) - Date.parse(override!.at)).toBe(600_000);
    expect(override!.by).toBe(userInfo().username);
    const line = gateway.log.find(({ msg }) => msg === 'operator');
    expect(line).toMatchObject({ level: 'warn', happened: 'set', target: 'orders', action: 'open', from: '127.0.0.1' });
  });

  test('does not know an upstream by another name, and lists those that there are', async () => {
    const known = "There is no upstream 'order'. There are: orders, users.\n";
    expect(await weir('upstream', 'order', 'open')).toEqual({ status: 1, stdout: '', stderr: known });
    expect(await weir('upstream', 'order', 'auto')).toEqual({ status: 1, stdout: '', stderr: known });
    expect(await weir('upstream', 'order')).toEqual({ status: 1, stdout: '', stderr: 'There is no such upstream\n' });
  });

  test.each([
    ['no name', [], "'weir upstream' needs the name of an upstream"],
    ['something else to do', ['orders', 'shut'], "'shut' is nothing to do with an upstream; write open, close or auto"],
    ['one word too many', ['orders', 'open', 'now'], "'now' is one argument too many"],
    ['no duration', ['orders', 'open', '--for', 'long'], '--for long: write a duration from 1s to 24h, such as 10m'],
    ['too long a time', ['orders', 'open', '--for', '25h'], '--for 25h: write a duration from 1s to 24h, such as 10m'],
    ['too short a time', ['orders', 'open', '--for', '1ms'], '--for 1ms: write a duration from 1s to 24h, such as 10m'],
    ['a time for what has no end', ['orders', 'auto', '--for', '1m'], "'weir upstream NAME auto' takes no --for"],
    ['a time for a look', ['orders', '--for', '1m'], "'weir upstream NAME' takes no --for"],
    ['JSON of a change', ['orders', 'close', '--json'], "'weir upstream NAME close' takes no --json"],
  ])('called with %s says so, shows its usage, and exits with 2', async (_what, args, says) => {
    expect(await weir('upstream', ...args)).toEqual({ status: 2, stdout: '', stderr: `weir: ${says}\n\n${usage}` });
    expect(await gateway.gateway.control.overrides()).toEqual([]);
  });
});
