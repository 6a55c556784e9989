import type { Logger } from '#core/log.ts';
import type { Endpoint } from './endpoint.ts';
import type { Endpoints } from './endpoints.ts';

/** What an endpoint is called by its configuration or discovery. */
export type Labels = Readonly<Record<string, string>>;

/**
 * Which endpoints calls go to. Worked out when something changes rather than for each call:
 *
 * - Those that are up: healthy, not ejected, not drained, with a weight.
 * - Of several priorities (RFC 2782) the first that has any.
 * - All of them, well or not, when fewer than `panicThreshold` of them are up, and in any case when none is: what is left
 *   would be toppled by the load of all, and it is likelier that the checks are wrong than that everything is down.
 * - Drained ones only when all are.
 */
export class Rotation {
  readonly #endpoints: Endpoints;
  readonly #upstream: string;
  readonly #log: Logger;
  #panicThreshold: number;
  #candidates: readonly Endpoint[] = [];
  #panic = false;
  /** By the labels that a route asks for, the very object; worked out when first asked for. */
  readonly #labelled = new Map<Labels, readonly Endpoint[]>();
  /** One of the candidates is in its slow start. */
  #ramping = false;

  constructor(endpoints: Endpoints, panicThreshold: number, upstream: string, log: Logger) {
    this.#endpoints = endpoints;
    this.#panicThreshold = panicThreshold;
    this.#upstream = upstream;
    this.#log = log;
    endpoints.onUse(() => this.#workOut());
  }

  configure(panicThreshold: number): void {
    this.#panicThreshold = panicThreshold;
    this.#workOut();
  }

  /** Too few endpoints are up, so all are used. */
  get panic(): boolean {
    return this.#panic;
  }

  /** Those that a call may go to, with their weights as of now. Empty only while the upstream has no endpoints. */
  get candidates(): readonly Endpoint[] {
    if (this.#ramping) this.#weigh();
    return this.#candidates;
  }

  /** Those of the candidates with these labels; all that have them, well or not, when none of these is up. */
  within(labels: Labels): readonly Endpoint[] {
    const { candidates } = this;
    let found = this.#labelled.get(labels);
    if (!found) {
      const up = candidates.filter((endpoint) => has(endpoint, labels));
      found = up.length > 0 ? up : inService(this.#endpoints.current.filter((endpoint) => has(endpoint, labels)));
      for (const endpoint of found) endpoint.effectiveWeight = endpoint.weight * endpoint.share;
      this.#labelled.set(labels, found);
    }
    return found;
  }

  #workOut(): void {
    this.#labelled.clear();
    const members = inService(this.#endpoints.current);
    const up = members.filter((endpoint) => endpoint.up);
    const first = Math.min(...up.map(({ priority }) => priority));
    const group = up.length > 0 ? members.filter(({ priority }) => priority === first) : members;
    const upInGroup = group.filter((endpoint) => endpoint.up);
    const panic =
      group.length > 0 && (upInGroup.length === 0 || upInGroup.length < group.length * this.#panicThreshold);
    this.#candidates = panic ? group : upInGroup;
    this.#weigh();
    if (panic === this.#panic) return;
    this.#panic = panic;
    const fields = { upstream: this.#upstream, up: upInGroup.length, endpoints: group.length };
    if (panic) this.#log.warn(fields, 'too few endpoints are up, all are used');
    else this.#log.info(fields, 'enough endpoints are up again');
  }

  #weigh(): void {
    this.#ramping = false;
    for (const endpoint of this.#candidates) {
      const { share } = endpoint;
      endpoint.effectiveWeight = endpoint.weight * share;
      if (share < 1) this.#ramping = true;
    }
  }
}

function has({ labels }: Endpoint, wanted: Labels): boolean {
  for (const name in wanted) if (labels[name] !== wanted[name]) return false;
  return true;
}

/** Those that may be called at all; each condition gives way when nothing would be left. */
function inService(endpoints: readonly Endpoint[]): readonly Endpoint[] {
  const weighted = endpoints.filter(({ weight }) => weight > 0);
  const kept = weighted.filter(({ drained }) => !drained);
  if (kept.length > 0) return kept;
  return weighted.length > 0 ? weighted : endpoints;
}
