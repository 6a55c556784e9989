import { perCall } from '#core/price.ts';
import type { LimitSettings, LimitsSettings, TierSettings } from './settings.ts';

export interface WrittenLimits {
  readonly limits: LimitsSettings;
  readonly tiers: Readonly<Record<string, TierSettings>>;
  readonly routes: readonly { readonly limits: readonly LimitSettings[] }[];
}

interface Priced {
  readonly name: string;
  /** Thousandths. */
  readonly cost: number;
}

/** A list of limits, by its place in the file. */
interface List {
  readonly path: readonly (string | number)[];
  readonly limits: readonly LimitSettings[];
}

export interface LimitProblem {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** All lists of limits. Those that count together with others of one request have different kinds. */
export function limitLists({
  limits,
  tiers,
  routes,
}: WrittenLimits): Record<'perIp' | 'global' | 'tier' | 'route', List[]> {
  return {
    perIp: [{ path: ['limits', 'perIp'], limits: limits.perIp }],
    global: [{ path: ['limits', 'global'], limits: limits.global }],
    tier: Object.entries(tiers).map(([name, tier]) => ({ path: ['tiers', name, 'limits'], limits: tier.limits })),
    route: routes.map((route, index) => ({ path: ['routes', index, 'limits'], limits: route.limits })),
  };
}

/**
 * What of the limits does not fit together: two of one name in one answer, and quotas that nothing could ever pass.
 * @param costOf what a route of the file costs
 * @param cheapest what the cheapest of all that is served costs
 */
export function limitProblems(
  written: WrittenLimits,
  costOf: (index: number) => Priced,
  cheapest: Priced,
): LimitProblem[] {
  const lists = limitLists(written);
  return [
    ...namesTwice(Object.values(lists)),
    ...lists.route.flatMap((list, index) => tooSmall(list, costOf(index))),
    ...[...lists.global, ...lists.tier].flatMap((list) => tooSmall(list, cheapest)),
  ];
}

function namesTwice(kinds: readonly (readonly List[])[]): LimitProblem[] {
  const placeOf = new Map<string, { readonly kind: number; readonly path: string }>();
  return kinds.flatMap((lists, kind) =>
    lists.flatMap(({ path, limits }) =>
      limits.flatMap(({ name }, index) => {
        const known = placeOf.get(name);
        if (!known) placeOf.set(name, { kind, path: path.join('.') });
        if (!known || known.kind === kind) return [];
        const message = `'${name}' is also the name of a limit of ${known.path}, and both count for one request, whose answer names them. Fix: choose another name.`;
        return [{ path: [...path, index, 'name'], message }];
      }),
    ),
  );
}

function tooSmall({ path, limits }: List, { name, cost }: Priced): LimitProblem[] {
  return limits.flatMap(({ unit, shadow, quota, burst = quota }, index) =>
    unit !== 'cost' || shadow || burst >= cost
      ? []
      : [
          {
            path: [...path, index, burst === quota ? 'quota' : 'burst'],
            message: `holds ${burst / perCall} upstream calls, and ${name} costs ${cost / perCall}, so no request could pass. Fix: write ${cost / perCall} or more.`,
          },
        ],
  );
}
