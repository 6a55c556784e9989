import type { AggregateSettings } from '#gateway/rest/aggregate/settings.ts';
import type { LoadedConfig } from '#gateway/config/load.ts';

/** What somebody must have decided on purpose before strangers depend on it, rather than taken from the defaults. */
const deliberate = ['timeout', 'retry', 'breaker', 'health'] as const;

/**
 * What `weir check --production` misses: a timeout, retry, breaker and health check of its own for every upstream, and for
 * every route a timeout, unless its upstream's stands in for it.
 */
export function productionProblems({ config, sources, file }: LoadedConfig): string[] {
  const problems: string[] = [];
  for (const name of Object.keys(config.upstreams)) {
    for (const key of deliberate) {
      if (sources.isWritten(['upstreams', name, key])) continue;
      problems.push(
        `upstreams.${name}.${key} is not set; write it in ${file} or in the module, even if it is the default.`,
      );
    }
  }
  config.routes.forEach((route, index) => {
    const { upstream, split, code } = route;
    if (code !== undefined && !sources.isWritten(['routes', index, 'timeout']))
      problems.push(
        `The route ${route.path} (${sources.of(['routes', index])}) is answered by code and has no timeout; give it one.`,
      );
    const upstreams =
      split?.map((share) => share.upstream) ?? (upstream === undefined ? partsOf(route.aggregate) : [upstream]);
    const untimed = upstreams.find((name) => !sources.isWritten(['upstreams', name, 'timeout']));
    if (sources.isWritten(['routes', index, 'timeout']) || untimed === undefined) return;
    problems.push(
      `The route ${route.path} (${sources.of(['routes', index])}) has no timeout, and neither has its upstream '${untimed}'.`,
    );
  });
  return problems;
}

/** The upstreams that an aggregate asks without a timeout of the part's own. */
function partsOf(aggregate: AggregateSettings | undefined): readonly string[] {
  return Object.values(aggregate?.parts ?? {}).flatMap((part) =>
    part.timeout === undefined ? (part.upstream ?? []) : [],
  );
}
