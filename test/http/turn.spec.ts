import { once } from 'node:events';
import { connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { sendReady, sendSoon } from '#gateway/http/turn.ts';
import { Certificates } from '../support/certificates.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { readAnswers } from '../support/answers.ts';
import { RawClient, send } from '../support/raw-client.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('Answers that are ready', () => {
  let sent: number[] = [];
  const answer = (id: number, then?: () => void) => ({
    sendLast() {
      sent.push(id);
      then?.();
    },
  });

  test('go out together at the end of the turn, in the order in which they became ready', async () => {
    sent = [];
    for (const id of [1, 2, 3]) sendSoon(answer(id));
    expect(sent).toEqual([]);
    await turn();
    expect(sent).toEqual([1, 2, 3]);
    sendSoon(answer(4));
    await turn();
    expect(sent).toEqual([1, 2, 3, 4]);
  });

  test('do not wait for more than 63 others, nor for more than 15 that take longer than a millisecond', async () => {
    sent = [];
    const clock = vi.spyOn(performance, 'now').mockReturnValue(0);
    for (let id = 0; id < 64; id++) sendSoon(answer(id));
    expect(sent).toHaveLength(64);
    for (let id = 64; id < 100; id++) {
      clock.mockReturnValue((id - 64) / 10);
      sendSoon(answer(id));
    }
    clock.mockRestore();
    expect(sent).toHaveLength(96);
    await turn();
    expect(sent).toEqual(Array.from({ length: 100 }, (_, id) => id));
  });

  test('go out at once where somebody goes by what is out, and only once', async () => {
    sent = [];
    sendSoon(answer(1));
    sendReady();
    expect(sent).toEqual([1]);
    await turn();
    expect(sent).toEqual([1]);
  });

  test('may make others ready by going out, and those go out with them', async () => {
    sent = [];
    const more = () => {
      for (let id = 100; id < 200; id++) sendSoon(answer(id));
    };
    for (let id = 0; id < 15; id++) sendSoon(answer(id, id % 5 === 0 ? more : undefined));
    await turn();
    expect(sent).toHaveLength(15 + 3 * 100);
    expect(new Set(sent).size).toBe(15 + 100);
  });
});

describe('A stored answer', () => {
  let service: TestUpstream;
  let gateway: TestGateway;
  let secured: TestGateway;
  const files = new Certificates();
  const get = 'GET /p/stored HTTP/1.1\r\nHost: x\r\n\r\n';

  beforeAll(async () => {
    service = await startUpstream((_request, response) =>
      response.writeHead(200, { 'cache-control': 'public, max-age=3600' }).end('stored'),
    );
    const config = {
      upstreams: { service: { endpoints: [service.url] } },
      routes: [{ path: '/p{/*rest}', upstream: 'service' }],
    };
    files.authority('ca');
    files.certificate('server', 'ca', { extension: 'subjectAltName=IP:127.0.0.1' });
    const tls = { cert: files.path('server.crt'), key: files.path('server.key') };
    gateway = await startGateway(config);
    secured = await startGateway({ ...config, listen: { tls, headersTimeout: '60s' } });
    await send(`${gateway.url}/p/stored`);
  });

  afterAll(async () => {
    await gateway.stop();
    await secured.stop();
    await service.close();
    files.remove();
  });

  const bodies = async (client: RawClient) => readAnswers(await client.end()).map(({ body }) => body);

  test('that is ready but not out yet reaches a client that shuts its side behind the request (RFC 9112 §9.6)', async () => {
    const clients = await Promise.all(Array.from({ length: 20 }, () => RawClient.connect(gateway.url)));
    for (const { socket } of clients) socket.end(get);
    for (const client of clients) expect(await bodies(client)).toEqual(['stored']);
  });

  test('does so over TLS, where both come in one piece', async () => {
    for (let time = 0; time < 20; time++) {
      const socket = connect(Number(new URL(secured.url).port), '127.0.0.1', { ca: files.read('ca.crt') });
      await once(socket, 'secureConnect');
      let received = '';
      socket.setEncoding('latin1').on('data', (text: string) => (received += text));
      // One packet for both.
      socket.cork();
      socket.end(get);
      await once(socket, 'close');
      expect(readAnswers(received).map(({ body }) => body)).toEqual(['stored']);
    }
  });

  test('is not waited for where the client ends in its handshake', { timeout: 20_000 }, async () => {
    const client = await RawClient.connect(secured.url);
    client.socket.end();
    expect(await client.end()).toBe('');
  });

  test('goes out as often as it is asked for in one packet, however many wait for the end of the turn', async () => {
    const client = await RawClient.connect(gateway.url);
    client.socket.end(get.repeat(60));
    expect(await bodies(client)).toEqual(Array.from({ length: 60 }, () => 'stored'));
  });

  test('is followed by a 400 for what cannot be read behind it', async () => {
    const client = await RawClient.connect(gateway.url);
    client.write(`${get}nonsense\r\n\r\n`);
    expect(readAnswers(await client.end()).map(({ status }) => status)).toEqual([200, 400]);
  });
});
