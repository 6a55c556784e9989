import { lookup as systemLookup, NODATA, NOTFOUND, promises, type SrvRecord } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { callbackify } from 'node:util';

/** One query to one server, and how often each is tried: well below any `every`. */
const query = { timeout: 2_000, tries: 2 };

/** Answers that are kept in case one family of a name stops answering; far more than one upstream has names. */
const maxKnown = 1_024;

/**
 * Looks names up at name servers. A name that does not exist has no addresses; one that cannot be looked up is an error.
 * Names are absolute: search domains and the hosts file are the system resolver's.
 */
export class NameServers {
  readonly #resolver = new promises.Resolver(query);
  readonly #known = new Map<string, readonly string[]>();

  /** @param servers addresses, with a port where it is not 53; none: those of the system */
  constructor(servers: readonly string[]) {
    if (servers.length > 0) this.#resolver.setServers(servers);
  }

  /**
   * All addresses of both families. Where only one family can be looked up, the other is as it was.
   * @throws {Error} where there is nothing to go by
   */
  async addresses(name: string): Promise<readonly string[]> {
    const families = await Promise.all([this.#family(4, name), this.#family(6, name)]);
    const addresses = families.flatMap((family) => family.addresses);
    const failed = families.filter(({ error }) => error !== undefined);
    if (failed.length === 2 || (failed.length === 1 && addresses.length === 0)) throw failed[0]?.error;
    return addresses;
  }

  async #family(
    family: 4 | 6,
    name: string,
  ): Promise<{ readonly addresses: readonly string[]; readonly error?: unknown }> {
    const key = `${family} ${name}`;
    try {
      const addresses = await none(family === 4 ? this.#resolver.resolve4(name) : this.#resolver.resolve6(name));
      this.#known.delete(key);
      if (this.#known.size < maxKnown) this.#known.set(key, addresses);
      return { addresses };
    } catch (error) {
      return { addresses: this.#known.get(key) ?? [], error };
    }
  }

  /** @throws {Error} when it cannot be looked up */
  services(name: string): Promise<readonly SrvRecord[]> {
    return none(this.#resolver.resolveSrv(name));
  }

  /** Ends what is being looked up. */
  cancel(): void {
    this.#resolver.cancel();
  }
}

/** That there is no such name or record is an answer. */
async function none<T>(found: Promise<readonly T[]>): Promise<readonly T[]> {
  try {
    return await found;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === NOTFOUND || code === NODATA) return [];
    throw error;
  }
}

/** For connections: names are looked up at these servers. */
export function lookupAt(servers: readonly string[]): LookupFunction {
  const names = new NameServers(servers);
  const addressesOf = callbackify((name: string) => names.addresses(name));
  return (hostname, options, callback) =>
    addressesOf(hostname, (error, addresses) => {
      if (error) callback(error, []);
      else answer(addresses, hostname, options, callback);
    });
}

/** For connections to a known address, whatever the name they go by. */
export function pinnedLookup(address: string, lookup: LookupFunction = systemLookup): LookupFunction {
  if (isIP(address) === 0) return (_hostname, options, callback) => lookup(address, options, callback);
  return (hostname, options, callback) => answer([address], hostname, options, callback);
}

function answer(
  addresses: readonly string[],
  hostname: string,
  ...[options, callback]: Parameters<LookupFunction> extends [string, ...infer Rest] ? Rest : never
): void {
  const found = addresses.map((address) => ({ address, family: isIP(address) }));
  const [first] = found;
  if (!first) callback(Object.assign(new Error(`${hostname} has no address`), { code: NOTFOUND }), []);
  else if (options.all) callback(null, found);
  else callback(null, first.address, first.family);
}
