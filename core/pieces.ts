/** A piece up to this size is copied: it may be a window on much more that came over the wire, and there may be very many. */
const maxCopied = 16 * 1024;
const minSlab = 4 * 1024;
const maxSlab = 64 * 1024;

/**
 * Content that comes in pieces, until it is whole. It takes little more memory than its length, however small the pieces are:
 * one Buffer for each byte would take a hundred times as much.
 */
export class Pieces {
  /** Bytes that have come. */
  length = 0;
  #whole: Buffer[] = [];
  /** What small pieces are copied into, from `#start` to `#end`. */
  #slab: Buffer | undefined;
  #start = 0;
  #end = 0;

  push(piece: Buffer): void {
    const { length } = piece;
    if (length === 0) return;
    this.length += length;
    // Most contents are one piece, and are not copied.
    if (this.length === length || length > maxCopied) {
      this.#close();
      this.#whole.push(piece);
      return;
    }
    if (!this.#slab || this.#slab.length - this.#end < length) {
      this.#close();
      this.#slab = Buffer.allocUnsafeSlow(Math.max(length, Math.min(Math.max(minSlab, this.length), maxSlab)));
      this.#start = this.#end = 0;
    }
    this.#end += piece.copy(this.#slab, this.#end);
  }

  /** Keeps what has been copied in its place; what is left of the slab takes more. */
  #close(): void {
    if (this.#end === this.#start) return;
    this.#whole.push(this.#slab!.subarray(this.#start, this.#end));
    this.#start = this.#end;
  }

  /** All of it. */
  join(): Buffer {
    this.#close();
    if (this.#whole.length !== 1) this.#whole = [Buffer.concat(this.#whole, this.length)];
    return this.#whole[0]!;
  }
}
