import type { RequestContext } from '#core/context.ts';
import { noteDenial } from '#core/denial.ts';
import { WeirError } from '#core/errors.ts';
import type { Clock } from '#core/clock.ts';
import type { Blocked } from './blocked.ts';
import type { Principal } from './principal.ts';

/** A withdrawn credential ends what it began within about this time. */
const everyMs = 1_000;

/**
 * Requests under way with a credential. Those that go on without end, such as WebSockets and event streams, end with the
 * credential they began with; what has an end of its own may reach it.
 */
export class Sessions {
  readonly #clock: Clock;
  readonly #blocked: Blocked;
  readonly #open = new Map<RequestContext, Principal>();
  #timer: NodeJS.Timeout | undefined;
  #refuses: (principal: Principal) => boolean = () => false;

  constructor(clock: Clock, blocked: Blocked) {
    this.#clock = clock;
    this.#blocked = blocked;
  }

  /** Requests that are under way with a credential. */
  get size(): number {
    return this.#open.size;
  }

  enter(context: RequestContext, principal: Principal): void {
    this.#open.set(context, principal);
    this.#timer ??= setInterval(() => this.#look(), everyMs).unref();
  }

  leave(context: RequestContext): void {
    this.#open.delete(context);
  }

  /** Another configuration serves: what it takes no more, although it would hold, has been withdrawn. */
  judgeBy(refuses: (principal: Principal) => boolean): void {
    this.#refuses = refuses;
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #look(): void {
    const now = this.#clock.epochMs();
    for (const [context, principal] of this.#open) {
      if (!context.sustained) continue;
      if (this.#blocked.has(context)) end(context, new WeirError('BLOCKED'));
      else if (principal.identity.expiresMs <= now) end(context, expired());
      else if (this.#refuses(principal)) end(context, withdrawn());
      else void this.#confirm(context, principal);
    }
  }

  async #confirm(context: RequestContext, principal: Principal): Promise<void> {
    try {
      if (!(await principal.holds())) end(context, withdrawn());
    } catch {
      // Who cannot be asked has not withdrawn it; how long that counts is decided where it is asked.
    }
  }
}

const expired = () => new WeirError('UNAUTHENTICATED', { detail: 'The credential has expired.' });
const withdrawn = () => new WeirError('UNAUTHENTICATED', { detail: 'The credential has been withdrawn.' });

function end(context: RequestContext, error: WeirError): void {
  noteDenial(context, error);
  // Of a protocol that was switched to, nobody else writes it down.
  context.errorCode ??= error.code;
  context.cancellation.cancel(error);
}
