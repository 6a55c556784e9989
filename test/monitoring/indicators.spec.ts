import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { Gateway } from '#gateway/gateway.ts';
import { openProject } from '#gateway/project.ts';
import { version } from '#gateway/version.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { RawClient, send, until } from '../support/raw-client.ts';
import { deadUrl, startServer, startUpstream, type TestServer } from '../support/upstream.ts';
import { exposition } from '../telemetry/exposition.ts';

describe('What objectives count', () => {
  let gateway: TestGateway;
  const services: Pick<TestServer, 'close'>[] = [];

  afterEach(async () => {
    await gateway.stop();
    await Promise.all(services.splice(0).map((service) => service.close()));
  });

  /** Requests to a route, as objectives see them: by their labels. */
  async function requestsOf(
    route: string,
  ): Promise<
    (readonly [status: string | undefined, error: string | undefined, stream: string | undefined, count: number])[]
  > {
    const text = await (await fetch(`${gateway.adminUrl}/metrics`)).text();
    const { samples = [] } = exposition(text).get('http_server_request_duration_seconds') ?? {};
    return samples
      .filter(({ name, labels }) => name.endsWith('_count') && labels.http_route === route)
      .map(
        ({ labels, value }) =>
          [labels.http_response_status_code, labels.error_type, labels.weir_stream, value] as const,
      );
  }

  test('a static fallback is the answer that somebody chose, and no failure, unless its status says so', async () => {
    gateway = await startGateway({
      upstreams: { dead: { endpoints: [await deadUrl()], retry: { attempts: 0 } } },
      routes: [
        { name: 'covered', path: '/covered', upstream: 'dead', fallback: { status: 200, body: {} } },
        { name: 'closed', path: '/closed', upstream: 'dead', fallback: { status: 503, body: {} } },
      ],
    });
    await send(`${gateway.url}/covered`);
    await send(`${gateway.url}/closed`);
    await until(() => gateway.log.filter(({ msg }) => msg === 'request').length === 2);
    expect(await requestsOf('covered')).toEqual([['200', undefined, undefined, 1]]);
    expect(await requestsOf('closed')).toEqual([['503', 'UPSTREAM_UNREACHABLE', undefined, 1]]);
  });

  test('a stream is told apart, since how long it lasts is up to both sides', async () => {
    const feed = await startServer((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
      response.end('data: 1\n\n');
    });
    const plain = await startUpstream((_request, response) => response.end('{}'));
    services.push(feed, plain);
    gateway = await startGateway({
      upstreams: { feed: { endpoints: [feed.url] }, plain: { endpoints: [plain.url] } },
      routes: [
        { name: 'events', path: '/events', upstream: 'feed' },
        { name: 'plain', path: '/plain', upstream: 'plain' },
      ],
    });
    await send(`${gateway.url}/events`);
    await send(`${gateway.url}/plain`);
    await until(() => gateway.log.filter(({ msg }) => msg === 'request').length === 2);
    expect(await requestsOf('events')).toEqual([['200', undefined, 'true', 1]]);
    expect(await requestsOf('plain')).toEqual([['200', undefined, undefined, 1]]);
  });

  test('a WebSocket is a stream', async () => {
    const echo = await startServer(() => {});
    echo.server.on('upgrade', (_request, socket) => {
      const accept = 'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=';
      socket.end(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${accept}\r\n\r\n`);
    });
    services.push(echo);
    gateway = await startGateway({
      upstreams: { echo: { endpoints: [echo.url] } },
      routes: [{ name: 'live', path: '/live', upstream: 'echo' }],
    });
    const client = await RawClient.connect(gateway.url);
    client.head(
      'GET /live HTTP/1.1',
      'Host: shop',
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    );
    await client.until('101');
    await client.end();
    await until(() => gateway.log.some(({ msg }) => msg === 'request'));
    expect(await requestsOf('live')).toEqual([['101', undefined, 'true', 1]]);
  });
});

describe('What a gateway says of itself', () => {
  const folder = mkdtempSync(join(tmpdir(), 'weir-monitoring-'));
  const file = join(folder, 'gateway.yaml');

  afterAll(() => rmSync(folder, { recursive: true }));

  function write(text: string): void {
    writeFileSync(file, `admin: { port: 0 }\nlisten: { port: 0 }\ntelemetry: { log: silent }\n${text}`);
  }

  test('which version it is, which configuration is in force since when, and whether the last attempt to load it failed', async () => {
    const good = 'upstreams: { a: { endpoints: ["http://127.0.0.1:9"] } }\n';
    write(good);
    const beforeS = Date.now() / 1000 - 1;
    const { control, telemetry, project } = new Gateway(await openProject({ config: file }));
    const samples = async (name: string) => exposition(await telemetry.prometheus()).get(name)?.samples;
    expect(await samples('weir_build_info')).toMatchObject([
      { labels: { service_version: version, process_runtime_version: process.version }, value: 1 },
    ]);
    const applied = await samples('weir_config_applied_time_seconds');
    expect(applied).toMatchObject([{ labels: { weir_config_hash: project.loaded.hash } }]);
    expect(applied?.[0]?.value).toBeGreaterThan(beforeS);
    expect(applied?.[0]?.value).toBeLessThan(Date.now() / 1000 + 1);
    expect(await samples('weir_config_last_reload_successful')).toMatchObject([{ value: 1 }]);

    write('upstreams: { a: {} }\n');
    await control.reload();
    expect(await samples('weir_config_last_reload_successful')).toMatchObject([{ value: 0 }]);
    expect(await samples('weir_config_applied_time_seconds')).toEqual(applied);

    write(`${good}cors: { origins: [http://localhost] }\n`);
    const { hash } = await control.reload();
    expect(await samples('weir_config_last_reload_successful')).toMatchObject([{ value: 1 }]);
    expect(await samples('weir_config_applied_time_seconds')).toMatchObject([{ labels: { weir_config_hash: hash } }]);
    expect(hash).not.toBe(project.loaded.hash);
    await telemetry.shutdown();
  });
});
