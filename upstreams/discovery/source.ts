import type { Address } from '#upstreams/endpoint.ts';

/** Where the addresses of an upstream are asked for, one kind a file. */
export interface Source {
  /** Milliseconds to let pass between an answer and the next question. */
  readonly pauseMs: number;
  /**
   * Asks once. Undefined: all is as in the last answer.
   * @throws {Error} when there is no answer; its message is for the log
   */
  ask(signal: AbortSignal): Promise<readonly Address[] | undefined>;
  /** Ends what is being asked. */
  close(): void;
}

/** What discovery knows of an instance, as an address. */
export function addressAt(
  found: { readonly host: string; readonly port: number; readonly weight?: number } & Pick<Address, 'priority'>,
  name: string,
  scheme: string,
  labels: Address['labels'] = {},
): Address {
  const { host, port, weight = 1, priority = 0 } = found;
  const url = `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`;
  return { url, weight, labels, name, priority };
}
