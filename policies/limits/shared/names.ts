/** Names of one limit and window that an instance tells apart. */
export const maxNames = 10_000;

/** What is beyond shares so many counters. */
const shared = 256;

/**
 * Names that clients choose, such as those of operations: each of them has a counter in the store until its window is over, so a
 * flood of new ones is counted under a few. Names that were there before the flood keep their own.
 */
export class Names {
  #current = new Set<string>();
  #former = new Set<string>();
  #sinceMs = Number.NEGATIVE_INFINITY;

  /** The name, or the one that it is counted under. */
  of(name: string, windowMs: number, nowMs: number): string {
    if (nowMs - this.#sinceMs >= windowMs) {
      this.#former = this.#current;
      this.#current = new Set();
      this.#sinceMs = nowMs;
    }
    if (this.#current.has(name)) return name;
    // Who was there in the window before has its place, up to the same number again.
    const room = this.#former.has(name) ? 2 * maxNames : maxNames;
    if (this.#current.size >= room) return `~${mixed(name) % shared}`;
    this.#current.add(name);
    return name;
  }
}

/** FNV-1a, 32 bits. */
function mixed(text: string): number {
  let sum = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) sum = Math.imul(sum ^ text.charCodeAt(at), 0x01000193);
  return sum >>> 0;
}
