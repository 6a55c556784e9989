/** Opcode of a close frame (RFC 6455 §5.5.1). */
const closeOpcode = 0x8;

/** The longest header of a frame: two bytes, eight of a length, four of a mask. */
const maxHeaderBytes = 14;

/**
 * Follows the frames that go one way over a WebSocket (RFC 6455 §5.2): where each ends, and whether the last one has been.
 * It reads headers alone and holds none of the payload, so that it costs the same for a message of any size. It must be
 * there from the first byte, for nothing in the middle of a stream of frames tells where it is.
 */
export class Frames {
  readonly #header = Buffer.alloc(maxHeaderBytes);
  #headerBytes = 0;
  /** Bytes of payload that are still to come. */
  #left = 0;
  #closed = false;

  /** Nothing has gone out that is not whole: another frame may follow. */
  get between(): boolean {
    return this.#headerBytes === 0 && this.#left === 0;
  }

  /** A close frame has gone out, after which nothing may. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Takes in what goes out next. */
  follow(chunk: Buffer): void {
    for (let at = 0; at < chunk.length;) at = this.#next(chunk, at);
  }

  /** Takes in what goes out next, up to the end of the frame that it is in. @returns the bytes that belong to that */
  finish(chunk: Buffer): Buffer {
    let at = 0;
    while (at < chunk.length && !this.between) at = this.#next(chunk, at);
    return chunk.subarray(0, at);
  }

  /** @returns where what follows a piece of payload, or a byte of a header, begins */
  #next(chunk: Buffer, at: number): number {
    if (this.#left > 0) {
      const piece = Math.min(this.#left, chunk.length - at);
      this.#left -= piece;
      return at + piece;
    }
    const header = this.#header;
    header[this.#headerBytes++] = chunk[at]!;
    if (this.#headerBytes >= 2 && this.#headerBytes === headerLength(header)) {
      this.#headerBytes = 0;
      this.#left = payloadLength(header);
      if ((header[0]! & 0x0f) === closeOpcode) this.#closed = true;
    }
    return at + 1;
  }
}

function headerLength(header: Buffer): number {
  const length = header[1]! & 0x7f;
  return 2 + (length === 127 ? 8 : length === 126 ? 2 : 0) + (header[1]! & 0x80 ? 4 : 0);
}

function payloadLength(header: Buffer): number {
  const length = header[1]! & 0x7f;
  if (length < 126) return length;
  // Beyond 2^53 it is not exact any more, nor will anybody live to see the end of it.
  return length === 126 ? header.readUInt16BE(2) : Number(header.readBigUInt64BE(2));
}

/** A close frame with a code and no reason; masked, as a client must and a server must not (§5.1). */
export function closeFrame(code: number, masked: boolean): Buffer {
  const high = code >> 8;
  const low = code & 0xff;
  // The mask keeps intermediaries from reading what an attacker chose (§10.3); a close code is nobody's choice.
  return Buffer.from(masked ? [0x88, 0x82, 0, 0, 0, 0, high, low] : [0x88, 0x02, high, low]);
}
