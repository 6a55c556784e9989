import { randomBytes } from 'node:crypto';
import type { SharedStore } from '#core/shared-store.ts';
import { hashOf } from '#upstreams/balancing/hash.ts';
import { decode, largestRecord, type Stored, type Varied } from './codec.ts';
import { look } from './scripts.ts';

/** Where an answer may lie, and what must stand in it. */
export interface Place {
  readonly key: string;
  readonly identity: Buffer;
}

export interface Wanted {
  readonly lease: string;
  readonly leaseMs: number;
  readonly places: readonly Place[];
  /** To be held, for so long at most. */
  readonly lock?: string | undefined;
  readonly lockMs: number;
  /** By the count of writes that this process knows of. */
  readonly moment: number;
}

export interface Looked {
  /** When Redis was asked: of writes since then it may not have known. */
  readonly moment: number;
  /** Undefined where Redis has no memory for one. */
  readonly token: Buffer | undefined;
  readonly sinceMs: number;
  /** Holds the lock, unless that is not free. */
  readonly holder: string;
  readonly free: boolean;
  /** In the order of the places. */
  readonly records: readonly (Stored | Varied | undefined)[];
}

interface Flight {
  readonly name: string;
  readonly looked: Promise<Looked>;
  next: Flight | undefined;
}

const shelves = 64;

/** Looks into Redis. Those for the same that are under way at the same time are one. */
export class Looks {
  readonly #store: SharedStore;
  readonly #maxEntryBytes: () => number;
  readonly #broken: () => void;
  /** Not a Map, for what comes and goes with each request; see `layers/collapse.ts`. */
  readonly #flights: (Flight | undefined)[] = Array.from({ length: shelves }, () => undefined);

  /** @param broken called for each record that cannot be read */
  constructor(store: SharedStore, maxEntryBytes: () => number, broken: () => void) {
    this.#store = store;
    this.#maxEntryBytes = maxEntryBytes;
    this.#broken = broken;
  }

  /** @throws {StoreUnavailable} */
  look(wanted: Wanted): Promise<Looked> {
    let name = wanted.lock ?? '';
    for (const { key } of wanted.places) name += key;
    const shelf = hashOf(name) & (shelves - 1);
    for (let flight = this.#flights[shelf]; flight; flight = flight.next)
      if (flight.name === name) return flight.looked;
    const flight: Flight = { name, looked: this.#ask(wanted), next: this.#flights[shelf] };
    this.#flights[shelf] = flight;
    const land = (): void => this.#land(flight, shelf);
    flight.looked.then(land, land);
    return flight.looked;
  }

  #land(landed: Flight, shelf: number): void {
    let flight = this.#flights[shelf];
    if (flight === landed) {
      this.#flights[shelf] = landed.next;
      return;
    }
    while (flight && flight.next !== landed) flight = flight.next;
    if (flight) flight.next = landed.next;
  }

  async #ask({ lease, leaseMs, places, lock, lockMs, moment }: Wanted): Promise<Looked> {
    const maxEntryBytes = this.#maxEntryBytes();
    const fresh = randomBytes(16);
    const holder = lock === undefined ? '' : fresh.toString('base64url');
    const keys = [lease, lock ?? lease, ...places.map(({ key }) => key)];
    const args = [fresh, leaseMs, largestRecord(maxEntryBytes), holder, lockMs];
    const answer = (await this.#store.read(look, keys, args)) as [Buffer, number, number, ...(Buffer | null)[]];
    const [token, sinceMs, free, ...held] = answer;
    const records = held.map(async (bytes, index) => {
      if (!bytes) return undefined;
      const record = await decode(bytes, { lease: token, identity: places[index]!.identity }, maxEntryBytes);
      if (!record) this.#broken();
      return record;
    });
    return {
      moment,
      token: token.length === fresh.length ? token : undefined,
      sinceMs,
      holder,
      free: free === 1,
      records: await Promise.all(records),
    };
  }
}
