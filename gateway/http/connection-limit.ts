import { isIP } from 'node:net';

/**
 * Counts connections by the address they come from, IPv6 by its /64, which is what one site has at the least (RFC 6177).
 * It holds an address as long as it has a connection, so it is no longer than the list of those.
 */
export class ConnectionLimit {
  readonly #most: number;
  readonly #open = new Map<string, number>();

  constructor(most: number) {
    this.#most = most;
  }

  /** Addresses that have a connection. */
  get size(): number {
    return this.#open.size;
  }

  /**
   * Takes a place for one more.
   * @returns what gives it back, or undefined when the address has as many as it may
   */
  take(address: string): (() => void) | undefined {
    const key = networkOf(address);
    const open = this.#open.get(key) ?? 0;
    if (open >= this.#most) return undefined;
    this.#open.set(key, open + 1);
    return () => {
      const left = this.#open.get(key)! - 1;
      if (left === 0) this.#open.delete(key);
      else this.#open.set(key, left);
    };
  }
}

/** The first four groups of an IPv6 address, spelt in one way; IPv4 as it is. */
export function networkOf(address: string): string {
  if (isIP(address) !== 6) return address;
  const [head = '', tail] = address.split('%', 1)[0]!.split('::');
  const front = groupsOf(head);
  const back = groupsOf(tail ?? '');
  // A last group in dotted form stands for two.
  const length = front.length + back.length + (back.at(-1)?.includes('.') === true ? 1 : 0);
  const all = [...front, ...Array.from({ length: 8 - length }, () => '0'), ...back];
  return all
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, '').toLowerCase())
    .join(':');
}

function groupsOf(text: string): string[] {
  return text === '' ? [] : text.split(':');
}
