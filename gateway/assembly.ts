import { systemClock } from '#core/clock.ts';
import { silentLogger } from '#core/log.ts';
import { noMeter } from '#core/meter.ts';
import type { Load } from '#policies/overload/overload.ts';
import { createExecution, type Execution } from '#resolvers/execution.ts';
import { Upstream, type Surroundings } from '#upstreams/upstream.ts';
import { placePolicies } from './module-policies.ts';
import { requestStages, upstreamLayers, type Stage } from './pipeline.ts';
import { ProblemsError } from './problems.ts';
import type { Project } from './project.ts';
import { buildRoutes, tieProblems } from './routing/build.ts';
import type { GatewayRoutes } from './routing/routing.ts';

/** A project put together: everything a request meets between the listener and the wire. Connects nothing yet. */
export interface Assembly {
  readonly upstreams: ReadonlyMap<string, Upstream>;
  /** Missing where no module brings SDL. */
  readonly execution: Execution | undefined;
  readonly routes: GatewayRoutes;
  readonly stages: readonly Stage[];
}

/**
 * Puts a project together.
 * @throws {ModuleError} with everything in the modules that does not fit together
 * @throws {ProblemsError} with routes that cannot be told apart, and policies without a place
 */
export function assemble({ loaded, modules }: Project, surroundings: Surroundings, load: Load): Assembly {
  const { config, sources } = loaded;
  const owners = new Map(
    modules.flatMap(({ upstreams, owner }) => Object.keys(upstreams).map((name) => [name, owner])),
  );
  const layers = upstreamLayers.map(({ layer }) => layer);
  const upstreams = new Map(
    Object.entries(config.upstreams).map(([name, settings]) => [
      name,
      new Upstream(name, settings, surroundings, layers, owners.get(name)),
    ]),
  );
  // Modules may bring nothing but REST.
  const graphql = modules.some(({ documents }) => documents.length > 0);
  const execution = graphql ? createExecution(modules, upstreams) : undefined;
  const routes = buildRoutes(config, upstreams, graphql, (index) => sources.of(['routes', index]));
  const { stages, problems } = placePolicies(requestStages(config, routes, load), modules);
  const found = [...tieProblems(routes), ...problems];
  if (found.length > 0) throw new ProblemsError(found);
  return { upstreams, execution, routes, stages };
}

/** The same to look at rather than to run: nothing is logged or measured. */
export function inspect(project: Project): Assembly {
  return assemble(project, { clock: systemClock, log: silentLogger, meter: noMeter, propagate() {} }, { inFlight: 0 });
}
