/**
 * The sick upstreams, a port each, all but the dead one. They count what they are asked; the first line on stdout is where
 * they listen, and each line on stdin is answered with the counts.
 */
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { fixedAnswer } from '../upstreams/fixed.ts';
import type { Sickness } from './sicknesses.ts';

type Present = Exclude<Sickness, 'dead'>;

const counts: Record<Present, number> = { hung: 0, resetting: 0, failing: 0, dripping: 0, trickling: 0 };

/** One request at a time comes on a connection, so a head begins where a chunk does. */
const head = /^(?:GET|POST) \S+ HTTP\/1\.1\r\n/;

function raw(name: Present, act: (socket: Socket) => void): Server {
  return createServer((socket) => {
    // The gateway gives up on such connections; that is what is being tried.
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      if (!head.test(chunk.toString('latin1', 0, 512))) return;
      counts[name]++;
      act(socket);
    });
  });
}

/** The beginning at once, and then a byte a second for as long as somebody waits for it. */
function drip(beginning: string): (socket: Socket) => void {
  return (socket) => {
    socket.write(beginning);
    const timer = setInterval(() => socket.write('x'), 1_000);
    socket.once('close', () => clearInterval(timer));
  };
}

const goodHead = `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${fixedAnswer.length}\r\n\r\n`;

const servers: Record<Present, Server> = {
  hung: raw('hung', () => {}),
  resetting: raw('resetting', (socket) => void socket.resetAndDestroy()),
  failing: createHttpServer((request, response) => {
    counts.failing++;
    request.resume().once('end', () => {
      response.writeHead(500, { 'content-type': 'application/json' }).end('{"error":"sick"}');
    });
  }),
  dripping: raw('dripping', drip('HTTP/1.1 200 OK\r\nx-endless: ')),
  trickling: raw('trickling', drip(goodHead)),
};

const ports: Partial<Record<Present, number>> = {};
for (const [name, server] of Object.entries(servers) as [Present, Server][]) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  ports[name] = (server.address() as AddressInfo).port;
}
const say = (value: object): void => void process.stdout.write(`${JSON.stringify(value)}\n`);
say(ports);
for await (const _ of createInterface({ input: process.stdin })) say(counts);
process.exit();
