import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { nginxCommand } from '../bench/nginx.ts';
import { GatewayProgram } from './support/gateway-program.ts';
import { Load } from './support/load.ts';
import { freePort, isListening } from './support/ports.ts';
import { Program } from './support/program.ts';
import { send, until } from './support/raw-client.ts';
import { startUpstream, type TestUpstream } from './support/upstream.ts';

/** deploy/nginx.conf before two gateways, on ports of the test's own. */

const root = resolve(import.meta.dirname, '..');
const text = readFileSync(join(root, 'deploy/nginx.conf'), 'utf8');
/** As the gateway has it where nobody says otherwise. */
const drainDelayMs = 5_000;

let upstream: TestUpstream;
let nginx: Program;
let url: string;
const folder = mkdtempSync(join(tmpdir(), 'weir-rolling-'));
const ports: number[] = [];
const gateways: GatewayProgram[] = [];

/** The first is one process, the second is two. */
function start(place: number): Promise<GatewayProgram> {
  return GatewayProgram.start({
    listen: {
      port: ports[place],
      workers: place + 1,
      drainDelay: `${drainDelayMs}ms`,
      trustedProxies: ['127.0.0.1'],
    },
    upstreams: { things: { endpoints: [upstream.url] } },
    routes: [{ path: '/things', upstream: 'things', methods: ['GET', 'POST'] }],
  });
}

beforeAll(async () => {
  upstream = await startUpstream((_request, response) => void response.end('thing'));
  for (let place = 0; place < 3; place++) ports.push(await freePort());
  const replaced = text
    .replace('127.0.0.1:4000', `127.0.0.1:${ports[0]}`)
    .replace('127.0.0.1:4010', `127.0.0.1:${ports[1]}`)
    .replace('listen 8080', `listen 127.0.0.1:${ports[2]}`);
  gateways.push(...(await Promise.all([start(0), start(1)])));
  nginx = new Program(await nginxCommand(folder, replaced), { cwd: folder });
  await nginx.until(() => isListening(ports[2]!));
  url = `http://127.0.0.1:${ports[2]}`;
}, 60_000);

afterAll(async () => {
  nginx.signalAll('SIGKILL');
  for (const gateway of gateways) gateway.kill();
  await upstream.close();
  rmSync(folder, { recursive: true });
});

describe('Two gateways behind nginx', { timeout: 180_000 }, () => {
  test('share the requests', async () => {
    const load = new Load(url, { clients: 4, path: '/things', methods: ['GET', 'POST'] });
    await load.more(100);
    await load.stop();
    expect(load.failures).toEqual([]);
    for (const { log } of gateways) expect(log.filter(({ msg }) => msg === 'request').length).toBeGreaterThan(20);
    // Their clients are nginx's, not nginx.
    expect(gateways[0]!.log.find(({ msg }) => msg === 'request')).toMatchObject({ clientIp: '127.0.0.1' });
  });

  test('are restarted one after the other under load, and no request fails', async () => {
    const before = upstream.requests.length;
    const load = new Load(url, { clients: 12, path: '/things', methods: ['GET', 'POST'], pauseMs: 2 });
    await load.more(200);
    for (const [place, gateway] of gateways.entries()) {
      const served = gateway.log.length;
      gateway.program.signal('SIGTERM');
      expect(await gateway.ended()).toBe(0);
      // It went on for the drain delay.
      expect(gateway.log.length).toBeGreaterThan(served);
      await load.more(100);
      const next = await start(place);
      gateways[place] = next;
      // What nginx has found of it is forgotten in a second; when it serves again the next one may go.
      await until(() => next.log.some(({ msg }) => msg === 'request'));
      await load.more(100);
    }
    const sent = await load.stop();
    expect(load.failures).toEqual([]);
    expect(sent.filter(({ method }) => method === 'POST').length).toBeGreaterThan(250);
    // What was repeated was a read: every POST has come to the service once.
    const requests = upstream.requests.slice(before);
    const posts = requests.filter(({ method }) => method === 'POST').map(({ body }) => body);
    expect(new Set(posts).size).toBe(posts.length);
  });

  test('are one when the other is gone for good', async () => {
    gateways[0]!.program.signalAll('SIGKILL');
    await gateways[0]!.program.end();
    for (let turn = 0; turn < 10; turn++) expect((await send(`${url}/things`)).status).toBe(200);
  });
});
