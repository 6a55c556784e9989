import type { Clock } from '#core/clock.ts';
import type { RequestContext } from '#core/context.ts';
import type { Counter, Meter } from '#core/meter.ts';
import type { Provenance } from '#core/provenance.ts';
import { denial } from '#policies/auth/field-guard.ts';
import { askOf, satisfies } from '#upstreams/cache/ask.ts';
import { askedAt } from '#upstreams/cache/audience.ts';
import type { Kept } from '#upstreams/cache/kept.ts';
import type { MemoryStore } from '#upstreams/cache/memory-store.ts';
import type { PreparedOperation } from '#gateway/graphql/prepare.ts';
import { Answer, type Openness } from './answer.ts';
import { audienceOf } from './audience.ts';
import { variablesKey } from './variables.ts';

export interface AnswersOptions {
  readonly store: MemoryStore;
  /** Whether any are kept, as it is now. */
  readonly enabled: () => boolean;
  readonly clock: Clock;
  readonly meter: Meter;
  /** Fields of a request that say who asks, as answers name them in `Vary`. */
  readonly credentialFields: () => readonly string[];
}

type Variables = Readonly<Record<string, unknown>> | undefined;

/** What became of an operation whose answers may be kept. */
type Outcome = 'hit' | 'miss' | 'bypass';

/** Fields that say who asks, whatever a resolver makes of them. */
const personalFields: ReadonlySet<string> = new Set(['authorization', 'cookie']);

/**
 * Finished answers to GraphQL operations, in the store and within the bound of what upstreams answered. One is given out as long
 * as all that it was made of is fresh and unwritten, and to those alone of whom the same would have been read.
 */
export class Answers {
  readonly #store: MemoryStore;
  readonly #enabled: () => boolean;
  readonly #clock: Clock;
  readonly #credentialFields: () => readonly string[];
  readonly #byKey = new Map<string, Answer>();
  readonly #counts: Readonly<Record<Outcome, Counter>>;

  constructor({ store, enabled, clock, meter, credentialFields }: AnswersOptions) {
    this.#store = store;
    this.#enabled = enabled;
    this.#clock = clock;
    this.#credentialFields = credentialFields;
    const family = meter.counter('weir.cache.answers', {
      unit: '{operation}',
      description: 'GraphQL operations whose finished answers may be stored, by what became of them.',
    });
    const counter = (outcome: Outcome) => family.with({ 'weir.cache.outcome': outcome });
    this.#counts = { hit: counter('hit'), miss: counter('miss'), bypass: counter('bypass') };
  }

  /** Everything was made under other settings. */
  clear(): void {
    for (const answer of this.#byKey.values()) this.remove(answer);
  }

  /** A stored answer that the request takes. */
  find(operation: PreparedOperation, variables: Variables, context: RequestContext): Answer | undefined {
    const { keeping, demands } = operation;
    if (!keeping || keeping.audiences.length === 0) return undefined;
    // Who made it was let have its fields; whether this one may is for the fields to say.
    if (demands.length > 0 && denial(demands, context)) return undefined;
    const nowMs = this.#clock.epochMs();
    const key = keyOf(operation, variables, context);
    for (const audience of keeping.audiences) {
      const answer = this.#byKey.get(key + audience.keyOf(context));
      if (!answer) continue;
      if (!answer.fresh(nowMs) || !answer.holds) {
        this.remove(answer);
        continue;
      }
      const ask = askOf(context.headers);
      if (ask && (ask.control.has('no-store') || !satisfies(answer, ask, nowMs))) return undefined;
      return answer;
    }
    return undefined;
  }

  /** It is given out. */
  take(answer: Answer): void {
    this.#store.touch(answer);
    this.#counts.hit.add(1);
  }

  /** Whether any are kept, as it is now. */
  get enabled(): boolean {
    return this.#enabled();
  }

  /** Whether the answer to a request may be kept, so that what it is made of is to be noted. */
  keeps({ keeping }: PreparedOperation, context: RequestContext): boolean {
    if (!keeping || !this.#enabled()) return false;
    const bypass = isBypass(context);
    this.#counts[bypass ? 'bypass' : 'miss'].add(1);
    return !bypass;
  }

  /**
   * Keeps an answer, unless what it is made of has been written meanwhile or is not fresh any more.
   * @param data of a result without errors
   */
  keep(
    operation: PreparedOperation,
    variables: Variables,
    context: RequestContext,
    made: Provenance,
    data: unknown,
  ): { readonly answer: Answer; readonly stored: boolean } | undefined {
    const { keeping, demands } = operation;
    if (!keeping || made.obstacle !== undefined) return undefined;
    const nowMs = this.#clock.epochMs();
    made.lasts(nowMs + keeping.maxAgeMs);
    if (made.untilMs <= nowMs || made.untilMs === Number.POSITIVE_INFINITY) return undefined;
    const audience = audienceOf(keeping.audiences, made, keeping.facets);
    if (!audience) return undefined;
    const body = Buffer.from(JSON.stringify({ data }));
    const key = keyOf(operation, variables, context) + audience.keyOf(context);
    // What asks for a credential cannot be left to caches that do not.
    const open =
      audience.facets === 0 &&
      !audience.fields.some((name) => personalFields.has(name) || this.#credentialFields().includes(name)) &&
      demands.length === 0;
    const answer = new Answer(key, body, made, this.#opennessOf(audience.fields, open), context.estimate, nowMs);
    if (!answer.holds) return undefined;
    if (body.length > this.#store.maxEntryBytes) return { answer, stored: false };
    const former = this.#byKey.get(key);
    if (former) this.remove(former);
    this.#byKey.set(key, answer);
    this.#store.add(answer, this);
    return { answer, stored: true };
  }

  remove(kept: Kept): void {
    if (kept.gone) return;
    kept.gone = true;
    this.#store.drop(kept);
    this.#byKey.delete((kept as Answer).key);
  }

  #opennessOf(fields: readonly string[], open: boolean): Openness {
    const vary = ['Accept', ...fields];
    const closedVary = [...new Set([...vary, ...this.#credentialFields()])];
    return { public: open, vary: vary.join(', '), closedVary: closedVary.join(', ') };
  }
}

/** RFC 9111 §5.2.1.5. */
export function isBypass({ headers }: RequestContext): boolean {
  return askOf(headers)?.control.has('no-store') === true;
}

/** Without what it depends on of who asks. Line breaks stand in none of its parts but the last. */
function keyOf({ facts, keeping }: PreparedOperation, variables: Variables, context: RequestContext): string {
  return `${facts.hash}\n${facts.name ?? ''}\n${askedAt(context)}\n${variablesKey(keeping!.variables, variables)}\n`;
}
