import type { GatewayConfig } from '#gateway/config/schema.ts';
import type { DebugTargets } from '#gateway/telemetry/debug-log.ts';
import type { Blocked } from '#policies/auth/blocked.ts';
import type { Limits } from '#policies/limits/limits.ts';
import type { ForcedState } from '#upstreams/breaker.ts';
import type { Upstream } from '#upstreams/upstream.ts';
import type { CommandReport, Override, OverrideAction } from './override.ts';

/** What overrides act on, as it is at the moment. */
export interface Steered {
  readonly upstreams: ReadonlyMap<string, Upstream>;
  /** Names. */
  readonly routes: readonly string[];
  readonly config: GatewayConfig;
  readonly debug: { look(targets: DebugTargets): void };
  readonly blocked: Pick<Blocked, 'look'>;
  readonly limits: Pick<Limits, 'scale' | 'names'>;
}

const forcedBy: Readonly<Partial<Record<OverrideAction, ForcedState>>> = { open: 'open', close: 'closed' };

/** Known targets in an answer; more would help nobody. */
const maxKnown = 100;

/**
 * Makes breakers, endpoints and the debug log what the overrides in force say, all of them anew each time: what came with a
 * reload or a discovery is held like what was there before.
 */
export class Steering {
  readonly #steered: () => Steered;
  readonly #overrides: () => readonly Override[];
  /** Upstreams whose endpoints are watched. */
  readonly #followed = new WeakSet<Upstream>();

  constructor(steered: () => Steered, overrides: () => readonly Override[]) {
    this.#steered = steered;
    this.#overrides = overrides;
  }

  apply(): void {
    const { upstreams, config, debug, blocked, limits } = this.#steered();
    const inForce = this.#overrides();
    const targets = (kind: Override['kind'], action: OverrideAction): ReadonlySet<string> =>
      new Set(inForce.filter((one) => one.kind === kind && one.action === action).map(({ target }) => target));
    const drained = targets('endpoint', 'drain');
    for (const upstream of upstreams.values()) {
      const held = inForce.find(({ kind, target }) => kind === 'upstream' && target === upstream.name);
      upstream.breaker.force(held && forcedBy[held.action]);
      for (const endpoint of upstream.endpoints) endpoint.drained = drained.has(endpoint.origin);
      if (this.#followed.has(upstream)) continue;
      this.#followed.add(upstream);
      upstream.onEndpoints(() => this.apply());
    }
    const scaled = inForce.filter(({ kind }) => kind === 'limit');
    limits.scale(new Map(scaled.map(({ target, scale = 1 }) => [target, scale])));
    blocked.look(targets('consumer', 'block'), targets('ip', 'block'));
    debug.look({
      routes: targets('route', 'debug'),
      consumers: targets('consumer', 'debug'),
      traces: targets('trace', 'debug'),
      secretHeaders: secretHeadersOf(config),
    });
  }

  /** Why something cannot be held, or cannot be held that way; undefined when it can. */
  objection({ kind, target, action }: Pick<Override, 'kind' | 'target'> & Partial<Override>): Refusal | undefined {
    const { upstreams, routes } = this.#steered();
    switch (kind) {
      case 'upstream':
        return upstreams.has(target) ? undefined : unknown('upstream', target, [...upstreams.keys()]);
      case 'route':
        return routes.includes(target) ? undefined : unknown('route', target, routes);
      case 'limit': {
        const { names } = this.#steered().limits;
        return names.has(target) ? undefined : unknown('limit', target, [...names]);
      }
      case 'endpoint':
        return this.#endpointObjection(target, action);
      default:
        // Nobody knows consumers and traces before they come.
        return undefined;
    }
  }

  #endpointObjection(origin: string, action: OverrideAction | undefined): Refusal | undefined {
    const all = [...this.#steered().upstreams.values()];
    const having = all.filter(({ endpoints }) => endpoints.some((endpoint) => endpoint.origin === origin));
    const known = new Set(all.flatMap(({ endpoints }) => endpoints.map((endpoint) => endpoint.origin)));
    if (having.length === 0) return unknown('endpoint', origin, [...known]);
    if (action !== 'drain') return undefined;
    const last = having.find(({ endpoints }) =>
      endpoints.every((one) => one.drained || one.weight === 0 || one.origin === origin),
    );
    return (
      last && {
        ok: false,
        why: 'conflict',
        detail:
          `'${origin}' is the last endpoint of '${last.name}' that is not drained, so its calls would have nowhere to go. ` +
          `Undrain another first; to refuse all calls to '${last.name}', open its breaker.`,
      }
    );
  }
}

type Refusal = Extract<CommandReport, { readonly ok: false }>;

function unknown(kind: string, target: string, known: readonly string[]): Refusal {
  const list = known.slice(0, maxKnown);
  const there =
    list.length === 0
      ? `There is no ${kind}.`
      : `There are: ${list.join(', ')}${known.length > list.length ? ', …' : ''}.`;
  return { ok: false, why: 'unknown', detail: `There is no ${kind} '${target}'. ${there}`, known: list };
}

/** Headers that this configuration makes carriers of credentials. */
function secretHeadersOf({ auth, upstreams }: GatewayConfig): ReadonlySet<string> {
  const names = [auth.apiKeys.header];
  for (const { identity } of Object.values(upstreams))
    if (typeof identity === 'object') names.push(...Object.keys(identity.static));
  return new Set(names.map((name) => name.toLowerCase()));
}
