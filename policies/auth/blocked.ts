import { isIPv6, type BlockList } from 'node:net';
import type { RequestContext } from '#core/context.ts';
import { noteDenial } from '#core/denial.ts';
import { WeirError } from '#core/errors.ts';
import type { Policy } from '#core/policy.ts';
import { networks } from './api-keys/networks.ts';

/** Whom an operator keeps out for a while, whatever they show. */
export class Blocked {
  #consumers: ReadonlySet<string> = new Set();
  #addresses: BlockList | undefined;

  /**
   * Keeps these out from now on, and nobody else.
   * @param addresses IP addresses and CIDR blocks
   */
  look(consumers: ReadonlySet<string>, addresses: ReadonlySet<string>): void {
    this.#consumers = consumers;
    this.#addresses = addresses.size > 0 ? networks([...addresses]) : undefined;
  }

  /** @throws {WeirError} `BLOCKED` */
  checkAddress(context: RequestContext): void {
    if (this.#addresses && this.#hasAddress(context)) throw blocked(context, 'The address is blocked.');
  }

  /** @throws {WeirError} `BLOCKED` */
  checkConsumer(context: RequestContext): void {
    if (this.#consumers.has(context.identity.consumer)) throw blocked(context, 'The consumer is blocked.');
  }

  has(context: RequestContext): boolean {
    return (
      this.#consumers.has(context.identity.consumer) || (this.#addresses !== undefined && this.#hasAddress(context))
    );
  }

  #hasAddress({ clientIp }: RequestContext): boolean {
    return this.#addresses!.check(clientIp, isIPv6(clientIp) ? 'ipv6' : 'ipv4');
  }
}

/** By its address, before anything is done for it. */
export function keepOut(list: Blocked): Policy {
  return (context) => list.checkAddress(context);
}

/** By its name, once that is known. */
export function keepOutConsumer(list: Blocked): Policy {
  return (context) => list.checkConsumer(context);
}

function blocked(context: RequestContext, detail: string): WeirError {
  const error = new WeirError('BLOCKED', { detail });
  noteDenial(context, error);
  return error;
}
