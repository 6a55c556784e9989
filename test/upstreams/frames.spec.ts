import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Frames } from '#upstreams/exchange/frames.ts';

/** A frame as RFC 6455 §5.2 has it, in the shortest length that holds it, or in a longer one, which parsers bear too. */
function frameOf(opcode: number, length: number, masked: boolean, wide: 0 | 2 | 8): Buffer {
  const form = Math.max(wide, length > 65_535 ? 8 : length > 125 ? 2 : 0);
  const extended = Buffer.alloc(form);
  if (form === 2) extended.writeUInt16BE(length);
  if (form === 8) extended.writeBigUInt64BE(BigInt(length));
  const mask = masked ? 0x80 : 0;
  return Buffer.concat([
    Buffer.from([0x80 | opcode, mask | (form === 8 ? 127 : form === 2 ? 126 : length)]),
    extended,
    Buffer.alloc(masked ? 4 : 0, 0x81),
    Buffer.alloc(length, 0x88),
  ]);
}

const frames = fc.array(
  fc.record({
    opcode: fc.constantFrom(0, 1, 2, 9, 10),
    length: fc.oneof(fc.nat(300), fc.constantFrom(125, 126, 65_535, 65_536, 70_000)),
    masked: fc.boolean(),
    wide: fc.constantFrom(0, 2, 8),
  }),
  { minLength: 1, maxLength: 8 },
);

const cuts = fc.array(fc.nat(), { maxLength: 20 });

/** The bytes in pieces, cut at any places. */
function pieces(bytes: Buffer, at: readonly number[]): Buffer[] {
  const places = [...new Set([0, ...at.map((cut) => cut % (bytes.length + 1)), bytes.length])].toSorted(
    (a, b) => a - b,
  );
  return places.slice(1).map((end, index) => bytes.subarray(places[index], end));
}

describe('Frames of a WebSocket, followed', () => {
  test('end where they end, however the bytes come', () => {
    fc.assert(
      fc.property(frames, cuts, (all, at) => {
        const followed = new Frames();
        const bytes = all.map((one) => frameOf(one.opcode, one.length, one.masked, one.wide));
        const ends = new Set(bytes.map((_, index) => Buffer.concat(bytes.slice(0, index + 1)).length));
        let gone = 0;
        for (const piece of pieces(Buffer.concat(bytes), at)) {
          followed.follow(piece);
          gone += piece.length;
          expect(followed.between).toBe(gone === 0 || ends.has(gone));
        }
        expect(followed.closed).toBe(false);
      }),
    );
  });

  test('are let out to the end of the one that has begun, and no further', () => {
    fc.assert(
      fc.property(frames, cuts, fc.nat(), (all, at, from) => {
        const followed = new Frames();
        const bytes = all.map((one) => frameOf(one.opcode, one.length, one.masked, one.wide));
        const whole = Buffer.concat(bytes);
        const begun = from % whole.length;
        const ends = [0, ...bytes.map((_, index) => Buffer.concat(bytes.slice(0, index + 1)).length)];
        const expected = ends.find((end) => end >= begun)!;
        followed.follow(whole.subarray(0, begun));
        let out = begun;
        for (const piece of pieces(whole.subarray(begun), at)) out += followed.finish(piece).length;
        expect(out).toBe(expected);
        expect(followed.between).toBe(true);
      }),
    );
  });

  test('a close frame is the last one, whatever stands in it', () => {
    const followed = new Frames();
    followed.follow(frameOf(1, 5, true, 0));
    expect(followed.closed).toBe(false);
    followed.follow(frameOf(8, 2, true, 0));
    expect(followed.closed).toBe(true);
  });
});
