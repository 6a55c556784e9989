import type { Clock } from '#core/clock.ts';
import type { Principal } from '../principal.ts';

/** Whether a token holds follows from the keys at hand, so nobody is asked. */
export interface TokenPrincipal extends Principal {
  readonly holds: () => boolean;
}

/** Verified tokens by digest, the least recently used first out: what is not shown again is not kept. */
export class VerifiedTokens {
  readonly #max: number;
  readonly #clock: Clock;
  /** A Map keeps the order of insertion, and what is used is inserted anew. */
  readonly #tokens = new Map<string, TokenPrincipal>();

  constructor(max: number, clock: Clock) {
    this.#max = max;
    this.#clock = clock;
  }

  get(digest: string): TokenPrincipal | undefined {
    const principal = this.#tokens.get(digest);
    if (!principal) return undefined;
    this.#tokens.delete(digest);
    if (!principal.holds() || principal.identity.expiresMs <= this.#clock.epochMs()) return undefined;
    this.#tokens.set(digest, principal);
    return principal;
  }

  add(digest: string, principal: TokenPrincipal): void {
    if (this.#max === 0) return;
    this.#tokens.set(digest, principal);
    if (this.#tokens.size <= this.#max) return;
    for (const oldest of this.#tokens.keys()) {
      this.#tokens.delete(oldest);
      return;
    }
  }
}
