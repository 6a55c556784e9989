import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { usage } from '#gateway/cli/arguments.ts';
import { startGateway, untilIdle, type TestGateway } from '../support/gateway.ts';
import { send, until } from '../support/raw-client.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';
import { weirAt, type Weir } from './running.ts';

const traceId = '0af7651916cd43dd8448eb211c80319c';
let service: TestUpstream;
let gateway: TestGateway;
let weir: Weir;

beforeEach(async () => {
  service = await startUpstream((_request, response) => void response.end('ok'));
  gateway = await startGateway({
    upstreams: { orders: { endpoints: [service.url] } },
    routes: [
      { name: 'orders', path: '/orders/*path', upstream: 'orders' },
      { name: 'other', path: '/other/*path', upstream: 'orders' },
    ],
  });
  weir = weirAt(gateway.adminUrl);
});

afterEach(async () => {
  await untilIdle(gateway);
  await gateway.stop();
  await service.close();
});

const debugged = () => gateway.log.filter(({ msg }) => msg === 'debug answer').map(({ path }) => path);

describe('weir debug', () => {
  test('route NAME logs its requests in detail, until off', async () => {
    const { status, stdout } = await weir('debug', 'route', 'orders', '--for', '2m', '--reason', 'slow list');
    expect(status).toBe(0);
    expect(stdout).toMatch(
      /^Requests of route 'orders' are logged in detail until .* UTC: lines of level debug, on the gateway's stdout\.\n$/,
    );
    await send(`${gateway.url}/orders/1`);
    await send(`${gateway.url}/other/1`);
    await until(() => debugged().length > 0);
    expect(debugged()).toEqual(['/orders/1']);
    expect(await weir('debug', 'off')).toEqual({
      status: 0,
      stdout: 'Nothing is logged in detail any more.\n',
      stderr: '',
    });
    const { headers } = await send(`${gateway.url}/orders/2`);
    await gateway.accessOf(String(headers['x-request-id']));
    expect(debugged()).toEqual(['/orders/1']);
    expect((await weir('debug', 'off')).stdout).toBe('Nothing was logged in detail.\n');
  });

  test('trace ID and consumer ID do the same for these', async () => {
    await weir('debug', 'trace', traceId);
    await send(`${gateway.url}/other/traced`, { headers: { traceparent: `00-${traceId}-b7ad6b7169203331-00` } });
    await send(`${gateway.url}/other/not`);
    await weir('debug', 'consumer', 'anonymous');
    await send(`${gateway.url}/orders/any`);
    await until(() => debugged().length === 2);
    expect(debugged()).toEqual(['/other/traced', '/orders/any']);
  });

  test('alone says what is logged in detail, for how long, and who wanted it', async () => {
    expect((await weir('debug')).stdout).toBe('Nothing is logged in detail.\n');
    await weir('debug', 'route', 'orders', '--by', 'anna');
    await weir('upstream', 'orders', 'close');
    expect((await weir('debug')).stdout).toMatch(/^[\da-f]{8} {2}route orders debug, by anna, 9 m 59 s left\n$/);
  });

  test('off leaves what else is held alone', async () => {
    await weir('upstream', 'orders', 'close');
    await weir('debug', 'route', 'orders');
    await weir('debug', 'off');
    expect((await gateway.gateway.control.overrides()).map(({ kind }) => kind)).toEqual(['upstream']);
  });

  test('does not know a route by another name, and lists those that there are', async () => {
    const { status, stderr } = await weir('debug', 'route', 'order');
    expect(status).toBe(1);
    expect(stderr).toMatch(/^There is no route 'order'\. There are: .*orders.*other/);
  });

  test('says that something is no trace id', async () => {
    expect(await weir('debug', 'trace', 'abc')).toEqual({
      status: 1,
      stdout: '',
      stderr: 'target: write a trace id of 32 hex digits.\n',
    });
  });

  test.each([
    ['something else', ['path', '/orders'], "'path' is nothing to debug; write route, consumer, trace or off"],
    ['a route without a name', ['route'], "'weir debug route' needs the name of a route"],
    ['a trace without an id', ['trace'], "'weir debug trace' needs the id of a trace"],
    ['one of those that are off', ['off', 'orders'], "'weir debug off' ends all of it; there is nothing more to say"],
    ['a time for off', ['off', '--for', '1m'], "'weir debug off' takes no --for"],
    ['a time for a look', ['--for', '1m'], "'weir debug' takes no --for"],
  ])('called with %s says so, shows its usage, and exits with 2', async (_what, args, says) => {
    expect(await weir('debug', ...args)).toEqual({ status: 2, stdout: '', stderr: `weir: ${says}\n\n${usage}` });
  });
});
