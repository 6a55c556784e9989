/** What takes room in the store, and where it stands among the others. */
export interface Kept {
  readonly bytes: number;
  /** It lies in the store no more. */
  gone: boolean;
  older: Kept | undefined;
  newer: Kept | undefined;
}

/**
 * A body in memory of its own, for what is kept: a few bytes out of one of Node’s pools would keep all 64 KiB of that, and the
 * store be bounded by a fraction of what it holds.
 */
export function ownMemory(body: Buffer): Buffer {
  if (body.buffer.byteLength === body.length) return body;
  const own = Buffer.allocUnsafeSlow(body.length);
  body.copy(own);
  return own;
}

/** Where it is found, and taken out when it must make room. */
export interface Home {
  remove(entry: Kept): void;
}
