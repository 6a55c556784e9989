import { createServer } from 'node:http';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { Pieces } from '#core/pieces.ts';
import { EventStreamReader } from '#upstreams/client/event-stream.ts';
import { startGateway, untilIdle } from '../support/gateway.ts';
import { RawClient, until } from '../support/raw-client.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

function heldBytes(): number {
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

test('Content that comes in pieces is the same in one', () => {
  const piece = fc.oneof(
    fc.uint8Array({ maxLength: 3 }),
    fc.nat(40_000).map((length) => new Uint8Array(length).fill(7)),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 60 }), (all) => {
      const pieces = new Pieces();
      for (const one of all) pieces.push(Buffer.from(one));
      const whole = Buffer.concat(all);
      expect(pieces.length).toBe(whole.length);
      expect(pieces.join().equals(whole)).toBe(true);
      expect(pieces.join().equals(whole)).toBe(true);
    }),
  );
});

test.each([
  ['bytes one by one', [1], 1_000_000],
  ['bytes between larger pieces', [1, 17_000], 120],
])(
  'Content takes little more memory than it is long: %s, each a window on what came over the wire',
  (_, sizes, times) => {
    const before = heldBytes();
    const pieces = new Pieces();
    for (let count = 0; count < times; count++)
      for (const size of sizes) pieces.push(Buffer.allocUnsafeSlow(size === 1 ? 64 : size).subarray(0, size));
    expect(heldBytes() - before).toBeLessThan(20 * pieces.length);
    expect(pieces.join()).toHaveLength(pieces.length);
  },
);

test('Lines of an event that say nothing count, since they are kept', () => {
  const reader = new EventStreamReader();
  for (let count = 0; count < 1_000; count++) reader.read(Buffer.from('data:\n'));
  expect(reader.pending).toBeGreaterThanOrEqual(1_000);
  expect(reader.read(Buffer.from('\n'))).toMatchObject([{ data: '\n'.repeat(999) }]);
  expect(reader.pending).toBe(0);
});

test('An answer in thousands of pieces that many wait for on one connection is whole for each, and warns of nothing', async () => {
  const warnings: string[] = [];
  const heard = ({ name }: Error) => warnings.push(name);
  process.on('warning', heard);
  let asked = 0;
  const service = createServer((_, response) => {
    asked++;
    response.writeHead(200, { 'content-type': 'text/plain' });
    let left = 5_000;
    const more = () => {
      for (let count = 0; count < 100 && left > 0; count++, left--) response.write('x');
      if (left > 0) setImmediate(more);
      else response.end();
    };
    setTimeout(more, 50);
  }).listen(0, '127.0.0.1');
  await until(() => service.listening);
  const url = `http://127.0.0.1:${(service.address() as { port: number }).port}`;
  const gateway = await startGateway({
    upstreams: { things: { endpoints: [url], identity: 'none' } },
    routes: [{ path: '/{*rest}', upstream: 'things' }],
  });
  try {
    const client = await RawClient.connect(gateway.url);
    const get = 'GET /pieces HTTP/1.1\r\nHost: x\r\n';
    client.socket.write(`${`${get}\r\n`.repeat(15)}${get}Connection: close\r\n\r\n`);
    const all = await client.end();
    expect(all.match(/HTTP\/1\.1 200/g)).toHaveLength(16);
    expect(
      all
        .match(/^x+\r?$/gm)
        ?.join('')
        .replaceAll('\r', '').length ?? 0,
    ).toBeGreaterThan(0);
    expect(all.replaceAll(/[^x]/g, '').length).toBeGreaterThanOrEqual(16 * 5_000);
    expect(asked).toBeLessThan(16);
    expect(warnings).toEqual([]);
  } finally {
    process.off('warning', heard);
    await untilIdle(gateway);
    await gateway.stop();
    service.closeAllConnections();
    service.close();
  }
});
