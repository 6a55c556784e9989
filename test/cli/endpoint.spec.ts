import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { usage } from '#gateway/cli/arguments.ts';
import { startGateway, untilIdle, type TestGateway } from '../support/gateway.ts';
import { send } from '../support/raw-client.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';
import { weirAt, type Weir } from './running.ts';

let one: TestUpstream;
let other: TestUpstream;
let gateway: TestGateway;
let weir: Weir;

beforeEach(async () => {
  one = await startUpstream((_request, response) => void response.end('ok'));
  other = await startUpstream((_request, response) => void response.end('ok'));
  gateway = await startGateway({
    upstreams: { orders: { endpoints: [one.url, other.url], slowStart: '0ms' } },
    routes: [{ path: '/*path', upstream: 'orders' }],
  });
  weir = weirAt(gateway.adminUrl);
});

afterEach(async () => {
  await untilIdle(gateway);
  await gateway.stop();
  await one.close();
  await other.close();
});

let asked = 0;
async function ask(times: number): Promise<void> {
  for (let count = 0; count < times; count++) expect((await send(`${gateway.url}/${asked++}`)).status).toBe(200);
}

describe('weir endpoint', () => {
  test('URL drain takes it out of the choice, and URL undrain gives it back', async () => {
    const drained = await weir('endpoint', `${one.url}/`, 'drain', '--for', '1h');
    expect(drained).toMatchObject({ status: 0, stderr: '' });
    expect(drained.stdout).toMatch(
      new RegExp(`^${one.url} is drained until .* UTC: it finishes the calls it has, and gets no others\\.\n$`),
    );
    await ask(4);
    expect([one.requests.length, other.requests.length]).toEqual([0, 4]);
    const shown = await weir('upstream', 'orders');
    expect(shown.status).toBe(0);
    expect(shown.stdout).toMatch(new RegExp(String.raw`^ {6}${one.url} +drained +for \d+ s, 0 in flight$`, 'm'));
    expect(await weir('endpoint', one.url, 'undrain')).toEqual({
      status: 0,
      stdout: `${one.url} gets calls again.\n`,
      stderr: '',
    });
    await ask(4);
    expect(one.requests.length).toBe(2);
    expect((await weir('endpoint', one.url, 'undrain')).stdout).toBe(`${one.url} was not drained.\n`);
  });

  test('refuses to drain the last one, and says what to do instead', async () => {
    await weir('endpoint', one.url, 'drain');
    expect(await weir('endpoint', other.url, 'drain')).toEqual({
      status: 1,
      stdout: '',
      stderr:
        `'${other.url}' is the last endpoint of 'orders' that is not drained, so its calls would have nowhere to go. ` +
        "Undrain another first; to refuse all calls to 'orders', open its breaker.\n",
    });
  });

  test('does not know another, and lists those that there are', async () => {
    const known = `There is no endpoint 'http://127.0.0.1:9'. There are: ${one.url}, ${other.url}.\n`;
    for (const action of ['drain', 'undrain'])
      expect(await weir('endpoint', 'http://127.0.0.1:9', action)).toEqual({ status: 1, stdout: '', stderr: known });
  });

  test('says that a name is no URL', async () => {
    expect(await weir('endpoint', 'orders', 'drain')).toEqual({
      status: 1,
      stdout: '',
      stderr: 'target: write a URL such as http://127.0.0.1:5002.\n',
    });
  });

  test.each([
    ['no URL', [], "'weir endpoint' needs the URL of an endpoint"],
    ['nothing to do', ['http://a:1'], "'weir endpoint' needs to know what to do: drain or undrain"],
    [
      'something else to do',
      ['http://a:1', 'open'],
      "'open' is nothing to do with an endpoint; write drain or undrain",
    ],
    [
      'a time for giving it back',
      ['http://a:1', 'undrain', '--for', '1m'],
      "'weir endpoint URL undrain' takes no --for",
    ],
    ['JSON', ['http://a:1', 'drain', '--json'], "'weir endpoint' takes no --json"],
  ])('called with %s says so, shows its usage, and exits with 2', async (_what, args, says) => {
    expect(await weir('endpoint', ...args)).toEqual({ status: 2, stdout: '', stderr: `weir: ${says}\n\n${usage}` });
  });
});
