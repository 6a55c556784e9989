import { perCall } from '#core/price.ts';
import type { LimitSettings, LimitsSettings, OperationLimitSettings, TierSettings } from './settings.ts';

export interface WrittenLimits {
  readonly limits: LimitsSettings;
  readonly tiers: Readonly<Record<string, TierSettings>>;
  readonly routes: readonly { readonly limits: readonly LimitSettings[] }[];
  readonly graphql: { readonly limits: readonly OperationLimitSettings[] };
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
  graphql,
}: WrittenLimits): Record<'perIp' | 'global' | 'tier' | 'route' | 'graphql', List[]> {
  return {
    graphql: [{ path: ['graphql', 'limits'], limits: graphql.limits }],
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
 * @param upstreams by name
 * @param hasField whether the schema has a field, `Type.field`
 */
export function limitProblems(
  written: WrittenLimits,
  costOf: (index: number) => Priced,
  cheapest: Priced,
  upstreams: ReadonlySet<string>,
  hasField: (field: string) => boolean,
): LimitProblem[] {
  const lists = limitLists(written);
  return [
    ...namesTwice(Object.values(lists)),
    ...lists.route.flatMap((list, index) => tooSmall(list, costOf(index))),
    ...[...lists.global, ...lists.tier].flatMap((list) => tooSmall(list, cheapest)),
    ...Object.values(lists).flatMap((kind) => kind.flatMap((list) => unknownUpstreams(list, upstreams))),
    ...unknownFields(written.graphql.limits, hasField),
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

function unknownUpstreams({ path, limits }: List, upstreams: ReadonlySet<string>): LimitProblem[] {
  return limits.flatMap(({ when }, index) => {
    if (when?.upstream === undefined || upstreams.has(when.upstream)) return [];
    const message = `names the upstream '${when.upstream}', which does not exist. Fix: correct the name (there is ${[...upstreams].join(', ')}).`;
    return [{ path: [...path, index, 'when', 'upstream'], message }];
  });
}

function unknownFields(
  limits: readonly OperationLimitSettings[],
  hasField: (field: string) => boolean,
): LimitProblem[] {
  return limits.flatMap(({ fields = [] }, index) =>
    fields.flatMap((field, at) =>
      hasField(field)
        ? []
        : [
            {
              path: ['graphql', 'limits', index, 'fields', at],
              message: `names the field ${field}, which the schema does not have. Fix: correct the name.`,
            },
          ],
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
