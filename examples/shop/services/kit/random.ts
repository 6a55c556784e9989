/**
 * Seeded randomness. Row 17 of a stream is a pure function of the stream's name and 17: rows can be made one at a
 * time, in any order, on first use, and come out alike in every process and on every machine.
 */

/** mulberry32: 32 bits of state, a full period, and good enough to spread a shop's data and faults. */
export function random(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}

export type Draw = {
  /** 0 up to, but without, 1. */
  next: () => number;
  /** An integer, both ends included. */
  int: (min: number, max: number) => number;
  pick: <T>(list: readonly T[]) => T;
};

export function draw(stream: string, row: number): Draw {
  const next = random(fnv1a(stream) ^ Math.imul(row, 0x9e3779b1));
  const int = (min: number, max: number): number => min + Math.floor(next() * (max - min + 1));
  return { next, int, pick: (list) => list[int(0, list.length - 1)]! };
}

/** FNV-1a, 32 bits: turns a stream's name into a seed. */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  return hash;
}
