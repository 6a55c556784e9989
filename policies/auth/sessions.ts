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
  #latest: Session | undefined;
  #size = 0;
  #timer: NodeJS.Timeout | undefined;
  #refuses: (principal: Principal) => boolean = () => false;

  constructor(clock: Clock, blocked: Blocked) {
    this.#clock = clock;
    this.#blocked = blocked;
  }

  /** Requests that are under way with a credential. */
  get size(): number {
    return this.#size;
  }

  enter(context: RequestContext, principal: Principal): void {
    context.session?.leave();
    const { before } = (context.session = this.#latest = new Session(context, principal, this.#latest, this.#left));
    if (before) before.after = this.#latest;
    this.#size++;
    this.#timer ??= setInterval(() => this.#look(), everyMs).unref();
  }

  leave(context: RequestContext): void {
    context.session?.leave();
    context.session = undefined;
  }

  readonly #left = (session: Session): void => {
    this.#size--;
    if (this.#latest === session) this.#latest = session.before;
  };

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
    for (let session = this.#latest, next; session; session = next) {
      const { context, principal, before } = session;
      next = before;
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

/**
 * One request in a list of all: not an entry of a Map, which leaves its outgrown tables behind, with all that they held, as
 * requests come and go.
 */
class Session {
  readonly context: RequestContext;
  readonly principal: Principal;
  before: Session | undefined;
  after: Session | undefined;
  #left: ((session: Session) => void) | undefined;

  constructor(
    context: RequestContext,
    principal: Principal,
    before: Session | undefined,
    left: (session: Session) => void,
  ) {
    this.context = context;
    this.principal = principal;
    this.before = before;
    this.#left = left;
  }

  leave(): void {
    if (!this.#left) return;
    this.#left(this);
    this.#left = undefined;
    if (this.before) this.before.after = this.after;
    if (this.after) this.after.before = this.before;
    this.before = undefined;
    this.after = undefined;
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
