import { criticalities, type Criticality } from '#core/criticality.ts';
import { WeirError } from '#core/errors.ts';
import type { Counter, Meter } from '#core/meter.ts';
import { Backlog } from './backlog.ts';
import type { EventLoopLook } from './event-loop.ts';
import { Pressure } from './pressure.ts';
import { RunQueue } from './run-queue.ts';

export interface LoadLimits {
  /** Requests in flight, above which all are refused. */
  readonly maxInFlight: number;
  /** Lag of the event loop, above which a rising share is refused. */
  readonly maxEventLoopLag: number;
}

/** Why it is refused: too much is in flight, or the event loop does not keep up. */
type ShedReason = 'in_flight' | 'event_loop';

/** Of `maxInFlight`, what each class may fill, the most critical first: the rest is kept for those before it. */
const shareOfPlaces: readonly number[] = [1, 0.9, 0.7];

/**
 * A flood is there within a moment, and the share is brought down over many: until then no class is let in any more where
 * what is in flight would take so many times the lag that is worked towards.
 */
const steep: readonly number[] = [2, 1.5, 1];

/**
 * So many are served between two looks whatever the lag, the most critical first: if it is not requests that keep the event
 * loop, refusing them all would not mend that.
 */
const minPerLook = 2;

/** In which the weight of what has come in falls to a third. */
const memoryMs = 1_000;

/**
 * So many refusals a second are free, as it were. Each of those above makes the connections of refused clients wait three
 * milliseconds longer.
 */
const freeRefusalsPerS = 300;
const holdOffPerRefusalMs = 3;
const maxHoldOffMs = 3_000;

/** The longest `Retry-After`, in seconds. */
const maxRetryAfterS = 10;

/**
 * Decides who is let in while not all can be served, the least critical last. What is in flight is bounded by places; what
 * the event loop can carry by a share of what comes in, which goes to the most critical first. Everything here is counting:
 * the same requests and samples in the same order are decided alike.
 */
export class LoadShedder {
  readonly maxInFlight: number;
  readonly #places: readonly number[];
  readonly #pressure: Pressure;
  readonly #classes = criticalities.map(() => new ClassLoad());
  readonly #counters: Readonly<Record<ShedReason, readonly Counter[]>>;
  readonly #overflow: Counter;
  readonly #backlog = new Backlog();
  /** Where what has been let in begins. */
  readonly #queue: RunQueue;
  /** Requests under way, but for those that wait there. */
  #begun = 0;
  /** Since the last look. */
  #entered = 0;
  #ended = 0;
  #refused = 0;
  /** What a flood may fill before the share that is let in has been brought down. */
  #workable = Number.POSITIVE_INFINITY;
  #lagMs = 0;
  #refusals = 0;
  #refusalsBefore = 0;
  /** Lately, the more recent the more. */
  #refusedPerS = 0;

  /** @param soon calls what it is given at the end of this turn of the event loop; default `setImmediate` */
  constructor({ maxInFlight, maxEventLoopLag }: LoadLimits, meter: Meter, soon?: (turn: () => void) => void) {
    this.#queue = new RunQueue(() => this.#begun, soon);
    this.maxInFlight = maxInFlight;
    this.#places = shareOfPlaces.map((share) => Math.ceil(maxInFlight * share));
    this.#pressure = new Pressure(maxEventLoopLag);
    this.#queue.most = this.#backlog.atOnce;
    const shed = meter.counter('weir.shed', {
      unit: '{request}',
      description: 'Requests and operations refused for load, by criticality and reason; `any` is the cap for all.',
    });
    const of = (reason: ShedReason) => (criticality: string) =>
      shed.with({ 'weir.criticality': criticality, 'weir.shed.reason': reason });
    this.#counters = {
      in_flight: criticalities.map(of('in_flight')),
      event_loop: criticalities.map(of('event_loop')),
    };
    this.#overflow = of('in_flight')('any');
    meter.observe(
      'weir.shed.share',
      { kind: 'gauge', unit: '1', description: 'Share that is refused now for the lag of the event loop, 0 to 1.' },
      (report) =>
        criticalities.forEach((criticality, index) =>
          report(1 - this.#classes[index]!.share, { 'weir.criticality': criticality }),
        ),
    );
    meter.observe(
      'weir.event_loop.lag',
      { kind: 'gauge', unit: 's', description: 'How far the event loop lags behind what is in flight.' },
      (report) => report(this.#lagMs / 1_000, {}),
    );
  }

  /** How far the event loop lags behind what is in flight, in milliseconds. */
  get lagMs(): number {
    return this.#lagMs;
  }

  /** Of all that comes in, what the event loop's lag lets through now: 0.001 to 1. */
  get share(): number {
    return this.#pressure.share;
  }

  /** Requests under way in this process or about to be, and operations on WebSockets and in batches. */
  get inFlight(): number {
    return this.#begun + this.#queue.waiting;
  }

  /**
   * How long a connection is not read from after a refusal, in milliseconds, in steps of 50; 0 while few are refused. Clients
   * that come back at once all the same, in a flood, could else keep the process busy with nothing but telling them to go.
   */
  get holdOffMs(): number {
    const wantedMs = (this.#refusedPerS - freeRefusalsPerS) * holdOffPerRefusalMs;
    return wantedMs <= 0 ? 0 : Math.ceil(Math.min(maxHoldOffMs, wantedMs) / 50) * 50;
  }

  /**
   * Lets one begin when all that came in this turn of the event loop has been read, or later, when there is time for it.
   * @param begin must not throw
   */
  wait(begin: () => void): void {
    this.#queue.wait(begin);
  }

  /** Lets one wait that has been counted but has hardly begun. @returns undefined where it need not */
  pause(): Promise<void> | undefined {
    if (this.#queue.free(this.#begun)) return undefined;
    this.#begun--;
    return new Promise((resolve) => {
      this.#queue.wait(() => {
        this.#begun++;
        resolve();
      });
    });
  }

  /** Counts one more; whoever calls this calls {@link leave} when it has ended, however that was. */
  enter(): void {
    this.#begun++;
    this.#entered++;
  }

  leave(): void {
    this.#begun--;
    this.#ended++;
  }

  /** Not all that comes in is let through. */
  get shedding(): boolean {
    const least = Math.min(this.#places.at(-1)!, this.#workable);
    return this.#pressure.share < 1 || this.inFlight >= least;
  }

  /** There is no place for one more, whoever it is. */
  get full(): boolean {
    return this.inFlight >= this.maxInFlight;
  }

  /**
   * Counts a request that finds no place at all.
   * @returns seconds after which it may come back
   */
  overflow(): number {
    this.#overflow.add(1);
    return this.#retryAfterS();
  }

  /**
   * Asks for a request that has taken its place.
   * @param inFlight when it came, with itself; default: now
   * @throws {WeirError} `OVERLOADED`
   */
  admit(criticality: Criticality, inFlight = this.inFlight): void {
    const retryAfterS = this.#ask(criticality, inFlight);
    if (retryAfterS === 0) return;
    this.#refused++;
    throw overloaded(retryAfterS);
  }

  /**
   * The same for one that has not taken its place yet.
   * @returns 0 where it may, else seconds after which it may come back
   */
  ask(criticality: Criticality): number {
    return this.#ask(criticality, this.inFlight + 1);
  }

  #ask(criticality: Criticality, inFlight: number): number {
    const rank = criticalities.indexOf(criticality);
    const own = this.#classes[rank]!;
    own.arrived++;
    if (inFlight > this.#places[rank]!) return this.#refuse(rank, 'in_flight');
    if (inFlight > this.#workable * steep[rank]!) return this.#refuse(rank, 'event_loop');
    return own.share === 1 || own.next() ? 0 : this.#refuse(rank, 'event_loop');
  }

  /** Takes note of the event loop, some twenty times a second. */
  look({ lagMs, elapsedMs, utilization }: EventLoopLook): void {
    // What was refused has begun and ended too, and took next to nothing.
    const [begun, ended] = [this.#entered - this.#refused, Math.max(0, this.#ended - this.#refused)];
    this.#backlog.look(begun, ended, elapsedMs, utilization);
    this.#entered = 0;
    this.#ended = 0;
    this.#refused = 0;
    this.#lagMs = Math.max(lagMs * utilization, this.#backlog.of(this.inFlight, this.#pressure.mostMs));
    this.#pressure.look(this.#lagMs, elapsedMs);
    this.#queue.most = this.#backlog.atOnce;
    const kept = Math.exp(-elapsedMs / memoryMs);
    const refusals = this.#refusals - this.#refusalsBefore;
    this.#refusalsBefore = this.#refusals;
    this.#refusedPerS = this.#refusedPerS * kept + (refusals / elapsedMs) * 1_000 * (1 - kept);
    let total = 0;
    for (const own of this.#classes) total += own.weigh(kept);
    this.#workable = Math.max(minPerLook, this.#backlog.within(this.#pressure.aimMs));
    const { share } = this.#pressure;
    // What may come in is dealt out from the most critical down.
    let left = Math.max(total * share, minPerLook / (1 - kept));
    for (const own of this.#classes) left = own.take(left, share === 1 || total === 0);
  }

  #refuse(rank: number, reason: ShedReason): number {
    this.#counters[reason][rank]!.add(1);
    return this.#retryAfterS();
  }

  /** The more is refused, the longer clients are asked to stay away, and not all for as long: they would come back as one. */
  #retryAfterS(): number {
    const longestS = Math.min(maxRetryAfterS, 2 + Math.ceil(1 / this.#pressure.share));
    // Nobody is asked back before he would be heard.
    return Math.max(Math.ceil(this.holdOffMs / 1_000), 1 + (this.#refusals++ % longestS));
  }
}

/** Without a stack, which costs as much as the rest of a refusal and would show nothing. */
export function overloaded(retryAfterS: number): WeirError {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  const error = new WeirError('OVERLOADED', { retryAfterS });
  Error.stackTraceLimit = stackTraceLimit;
  return error;
}

/** What came in of one class, and how much of it may. */
class ClassLoad {
  /** Since the last sample. */
  arrived = 0;
  share = 1;
  /** What came in lately, the more recent the more. */
  #weight = 0;
  #credit = 0;

  weigh(kept: number): number {
    this.#weight = this.#weight * kept + this.arrived;
    this.arrived = 0;
    return this.#weight;
  }

  /**
   * @param all no need to be choosy
   * @returns what is left of `available` for the classes after this one
   */
  take(available: number, all: boolean): number {
    const wanted = this.#weight;
    if (all) this.share = 1;
    // Where nobody of this class came lately, whoever comes first is let in if those of the classes before it were.
    else this.share = available >= wanted ? Number(available > 0) : available / wanted;
    return Math.max(0, available - wanted);
  }

  /** Lets the share of them in, evenly: what a refusal leaves over counts for the next (error diffusion). */
  next(): boolean {
    this.#credit += this.share;
    if (this.#credit < 1) return false;
    this.#credit -= 1;
    return true;
  }
}
