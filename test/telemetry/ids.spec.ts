import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { randomHex } from '#gateway/telemetry/ids.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

function heldBytes(): number {
  collect();
  return process.memoryUsage().heapUsed;
}

test('Ids are hex digits, as many as asked for, and none comes twice', () => {
  const ids = new Set<string>();
  for (let count = 0; count < 10_000; count++) ids.add(randomHex(count % 2 === 0 ? 32 : 16));
  expect(ids.size).toBe(10_000);
  for (const id of ids) expect(id).toMatch(/^([0-9a-f]{16}|[0-9a-f]{32})$/);
});

test('An id that lives long, as that of a WebSocket does, keeps little of those that were drawn with it', () => {
  const kept: string[] = [];
  const before = heldBytes();
  for (let stream = 0; stream < 2_000; stream++) {
    kept.push(randomHex(32));
    for (let request = 0; request < 1_000; request++) randomHex(32);
  }
  expect((heldBytes() - before) / kept.length).toBeLessThan(4_096);
});
