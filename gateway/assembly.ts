import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { isObjectType, type GraphQLSchema } from 'graphql';
import { systemClock } from '#core/clock.ts';
import { silentLogger } from '#core/log.ts';
import { noMeter } from '#core/meter.ts';
import { perCall } from '#core/price.ts';
import type { SharedStore } from '#core/shared-store.ts';
import { Auth } from '#policies/auth/auth.ts';
import { Limits } from '#policies/limits/limits.ts';
import { limitProblems } from '#policies/limits/problems.ts';
import { LoadShedder } from '#policies/overload/load-shedder.ts';
import type { UpstreamSettings } from '#upstreams/settings.ts';
import { createExecution, type Execution } from '#resolvers/execution.ts';
import { ModuleError } from '#resolvers/module-error.ts';
import { ModuleRuntimes } from '#resolvers/module-runtimes.ts';
import type { Look } from '#resolvers/own-fields.ts';
import { Upstream, type Surroundings } from '#upstreams/upstream.ts';
import { describedVersions, describeRoutes } from './contract/contract.ts';
import { readDocuments, type UpstreamDocuments } from './contract/documents.ts';
import { RouteContracts } from './contract/route-contracts.ts';
import { TrustedDocuments, trustDocuments } from './graphql/documents/trusted.ts';
import { withIncrementalDelivery } from './graphql/schema.ts';
import { readTls } from './http/tls.ts';
import { sentContract, type SentContracts } from './pages/contract-pages.ts';
import type { GatewayConfig } from './config/schema.ts';
import { placePolicies } from './module-policies.ts';
import { documentPhases, requestStages, upstreamLayers } from './pipeline.ts';
import type { Stage } from './stage.ts';
import { ProblemsError } from './problems.ts';
import type { Project } from './project.ts';
import { buildRoutes, tieProblems, routeProblems } from './routing/build.ts';
import { Composer } from './routing/composer.ts';
import type { GatewayRoutes } from './routing/routing.ts';

/** A project put together: everything a request meets between the listener and the wire. Connects nothing yet. */
export interface Assembly {
  readonly upstreams: ReadonlyMap<string, Upstream>;
  readonly auth: Auth;
  /** All that is called: the upstreams, and identity providers from their first call on. */
  readonly called: () => Iterable<Upstream>;
  readonly limits: Limits;
  /** Of the public listener; undefined for plain HTTP. */
  readonly tls: SecureContextOptions | undefined;
  /** Missing where no module brings SDL. */
  readonly execution: Execution | undefined;
  readonly runtimes: ModuleRuntimes;
  readonly trusted: TrustedDocuments;
  readonly routes: GatewayRoutes;
  readonly documents: UpstreamDocuments;
  readonly routeContracts: RouteContracts;
  /** The OpenAPI documents of the REST routes, by version; undefined where they are not served. */
  readonly contracts: SentContracts | undefined;
  readonly stages: readonly Stage[];
  /** Gives the upstreams that were running before their settings of this project. To be called once, when it takes over. */
  readonly takeOver: () => void;
}

export interface AssemblySurroundings extends Surroundings {
  readonly load: LoadShedder;
  /** What instances share; undefined where each is on its own. */
  readonly store: SharedStore | undefined;
  /** What a consumer has left of the limits that serve now. */
  readonly look: Look;
  /** Told of each use that is written down, and whose it was. */
  readonly used: (what: string, consumer: string) => void;
  /** Processes that are one gateway: without a store each enforces its share of every limit. */
  readonly workers: number;
}

/**
 * Puts a project together.
 * @param running what serves now, when this is to take its place: upstreams of the same name are the same upstreams, and
 *   nothing of it changes before `takeOver`
 * @throws {ModuleError} with everything in the modules that does not fit together
 * @throws {ProblemsError} with routes that cannot be told apart, policies without a place, and TLS files that cannot be read
 */
export function assemble(project: Project, surroundings: AssemblySurroundings, running?: Assembly): Assembly {
  const { loaded, modules } = project;
  const { config, sources } = loaded;
  const { upstreams, settle } = connectUpstreams(project, surroundings, running);
  // Modules may bring nothing but REST.
  const graphql = modules.some(({ documents }) => documents.length > 0);
  const runtimes = running?.runtimes ?? new ModuleRuntimes(modules, upstreams);
  const execution = graphql
    ? (running?.execution ?? createExecution(modules, upstreams, runtimes, surroundings.look))
    : undefined;
  if (runtimes.problems.length > 0) throw new ModuleError(runtimes.problems);
  const weightOf = (name: string) => config.upstreams[name]?.weight ?? perCall;
  const trusted = execution
    ? trustDocuments(
        { schema: withIncrementalDelivery(execution.schema), execution, settings: config.graphql, weightOf },
        documentPhases,
      )
    : new TrustedDocuments(new Map());
  const documents = readDocuments(config, modules);
  const routeContracts = new RouteContracts(surroundings);
  const transforms = new Map(modules.flatMap((module) => module.transforms.map((one) => [one.name, one] as const)));
  const originOf = (index: number) => sources.of(['routes', index]);
  const found: string[] = [];
  const composer = new Composer(config, { upstreams, modules, runtimes, trusted, schema: execution?.schema }, found);
  const routes = buildRoutes(
    config,
    { upstreams, transforms, documents, contracts: routeContracts, composer },
    execution?.schema,
    originOf,
  );
  const layers = upstreamLayers.map(({ layer }) => layer);
  const upstream = (name: string, settings: UpstreamSettings) => new Upstream(name, settings, surroundings, layers);
  const auth = new Auth(
    config.auth,
    config.consumers,
    { clock: surroundings.clock, store: surroundings.store, upstream },
    running?.auth,
  );
  const limits = new Limits(
    { ...config, routes: routes.routes },
    { ...surroundings, upstreams: [...upstreams.values()] },
    running?.limits,
  );
  const stages = requestStages(config, routes, surroundings.load, auth.verifiers, limits, surroundings.used);
  const placed = placePolicies(stages, modules);
  found.push(
    ...routeContracts.problems,
    ...tieProblems(routes),
    ...routeProblems(config, transforms, originOf),
    ...placed.problems,
    ...limitFindings(project, upstreams, execution?.schema),
  );
  if (found.length > 0) throw new ProblemsError(found);
  return {
    upstreams,
    auth,
    called: () => [...upstreams.values(), ...auth.upstreams.values()],
    limits,
    tls: listenerTls(project),
    execution,
    runtimes,
    trusted,
    routes,
    documents,
    routeContracts,
    contracts: config.docs.enabled ? sentContracts(config, routes, documents) : undefined,
    stages: placed.stages,
    takeOver: () => settle.forEach((apply) => apply()),
  };
}

function sentContracts(config: GatewayConfig, routes: GatewayRoutes, documents: UpstreamDocuments): SentContracts {
  const { title } = config.docs;
  return {
    whole: sentContract(title, describeRoutes(config, routes, documents)),
    versions: new Map(
      describedVersions(config, routes).map((version) => [
        version,
        sentContract(title, describeRoutes(config, routes, documents, version)),
      ]),
    ),
  };
}

/** What of the limits does not fit together, as sentences. */
function limitFindings(
  { loaded }: Project,
  upstreams: ReadonlyMap<string, Upstream>,
  schema: GraphQLSchema | undefined,
): string[] {
  const { config, sources } = loaded;
  const weightOf = (name: string) => upstreams.get(name)!.settings.weight;
  const costs = config.routes.map(({ path, upstream, split, aggregate, cost }) => {
    // What is loaded may have been loaded already, and then costs nothing.
    const called =
      upstream === undefined
        ? Object.values(aggregate?.parts ?? {}).flatMap((part) => part.upstream ?? [])
        : [upstream];
    // One of a split is called, maybe the dearest.
    const dearest = Math.max(0, ...(split ?? []).map((share) => weightOf(share.upstream)));
    return { name: path, cost: cost ?? called.reduce((sum, name) => sum + weightOf(name), dearest) };
  });
  // What an operation costs is known once it comes, and may be nothing.
  const cheapest = schema ? 0 : Math.min(...costs.map(({ cost }) => cost));
  const least = costs.find(({ cost }) => cost === cheapest) ?? { name: 'an operation', cost: 0 };
  const hasField = (path: string): boolean => {
    const [typeName = '', field = ''] = path.split('.');
    const type = schema?.getType(typeName);
    return isObjectType(type) && field in type.getFields();
  };
  return limitProblems(config, (index) => costs[index]!, least, new Set(upstreams.keys()), hasField).map(
    ({ path, message }) => `${path.join('.')} (${sources.of(path)}): ${message}`,
  );
}

/** Reads the listener's certificates, and whether they fit together. */
function listenerTls({ loaded }: Project): SecureContextOptions | undefined {
  const { tls } = loaded.config.listen;
  if (!tls) return undefined;
  try {
    const read = readTls(tls);
    createSecureContext(read);
    return read;
  } catch (error) {
    const where = loaded.sources.of(['listen', 'tls']);
    throw new ProblemsError([`listen.tls (${where}): ${(error as Error).message}. Fix: correct the files.`]);
  }
}

/** The upstreams of a project, and what is to be done to those that are running already. */
function connectUpstreams({ loaded, modules }: Project, surroundings: Surroundings, running: Assembly | undefined) {
  const owners = new Map(
    modules.flatMap(({ upstreams, owner }) => Object.keys(upstreams).map((name) => [name, owner])),
  );
  const layers = upstreamLayers.map(({ layer }) => layer);
  const upstreams = new Map<string, Upstream>();
  const settle: (() => void)[] = [];
  const problems: string[] = [];
  for (const [name, settings] of Object.entries(loaded.config.upstreams)) {
    try {
      const known = running?.upstreams.get(name);
      if (known) settle.push(known.prepare(settings));
      upstreams.set(name, known ?? new Upstream(name, settings, surroundings, layers, owners.get(name)));
    } catch (error) {
      const where = loaded.sources.of(['upstreams', name, 'tls']);
      problems.push(`upstreams.${name}.tls (${where}): ${(error as Error).message}. Fix: correct the file.`);
    }
  }
  if (problems.length > 0) throw new ProblemsError(problems);
  return { upstreams, settle };
}

/** The same to look at rather than to run: nothing is logged or measured. */
export function inspect(project: Project): Assembly {
  return assemble(project, {
    clock: systemClock,
    log: silentLogger,
    meter: noMeter,
    propagate() {},
    load: new LoadShedder(project.loaded.config.listen, noMeter),
    store: undefined,
    look: () => [],
    used() {},
    workers: 1,
  });
}
