import type { AddressInfo, Socket } from 'node:net';
import { systemClock } from '#core/clock.ts';
import type { RequestContext } from '#core/context.ts';
import { silentLogger } from '#core/log.ts';
import { admitConnection } from '#policies/auth/connection-init.ts';
import { settle } from '#policies/limits/stages.ts';
import { watchEventLoop } from '#policies/overload/event-loop.ts';
import { LoadShedder } from '#policies/overload/load-shedder.ts';
import type { Invalidation } from '#upstreams/cache/invalidation.ts';
import { MemoryStore } from '#upstreams/cache/memory-store.ts';
import { observeCache } from '#upstreams/cache/outcomes.ts';
import { SecondLevel } from '#upstreams/cache/second-level/second-level.ts';
import { SharedInvalidations } from '#upstreams/cache/shared-invalidation.ts';
import { isAnother, sourceOf } from '#upstreams/cache/source.ts';
import { storedAnswers, type StoredAnswers, type StoredQuestion } from '#upstreams/cache/stored-answers.ts';
import type { HealthVerdicts } from '#upstreams/health-verdicts.ts';
import { assemble, type Assembly, type AssemblySurroundings } from './assembly.ts';
import { createDoors } from './doors.ts';
import { createGraphqlDoor, type GraphqlDoor } from './graphql/door.ts';
import { readExamples } from './graphql/examples.ts';
import type { DemoKey } from './graphql/graphiql-consumers.ts';
import { ClientAddresses } from './http/client-address.ts';
import { HttpHost } from './http/host.ts';
import { Pipeline } from './http/pipeline.ts';
import { atTurnEnd } from './http/turn.ts';
import { pages } from './pages/pages.ts';
import type { Project } from './project.ts';
import { documentPhases } from './pipeline.ts';
import { ProcessControl } from './control/process-control.ts';
import { Readiness } from './control/readiness.ts';
import type { Prepared } from './control/reload.ts';
import { ProblemsError } from './problems.ts';
import { RunningUpstreams } from './running-upstreams.ts';
import { RedisStore } from './redis/redis-store.ts';
import { Spend } from './spend/spend.ts';
import { Uses } from './uses/uses.ts';
import { createTelemetry, type Telemetry } from './telemetry/telemetry.ts';
import { version } from './version.ts';
import { observeUpstreams } from './upstream-metrics.ts';

export interface InstanceOptions {
  /** Where log lines go instead of stdout. */
  readonly logDestination?: { write(line: string): void } | undefined;
  /** API keys that GraphiQL shows to whoever opens it, for a demonstration; never taken from a configuration. Default: none. */
  readonly demoKeys?: readonly DemoKey[];
  /** Of one of several processes that are one gateway: which it is, and what another has found of the health of endpoints. */
  readonly worker?: { readonly index: number; readonly count: number; readonly verdicts: HealthVerdicts };
}

/** The longest that requests in flight may take to finish once nothing new is accepted. */
const finishTimeoutMs = 30_000;
/** How long connections on which nothing happens are kept then: what is on its way on one of them is to find it open. */
const idleMs = 1_000;
/** The longest that a purge waits for Redis; what is told later is told all the same. */
const purgeTimeoutMs = 800;

/** One process that serves: from a project to listening, and back. */
export class Instance {
  readonly telemetry: Telemetry;
  readonly readiness = new Readiness();
  /** What operators see of this process and hold in it. */
  readonly operations: ProcessControl;
  /** What upstreams have answered. */
  readonly cache: MemoryStore;
  readonly #load: LoadShedder;
  readonly #surroundings: AssemblySurroundings;
  /** Who spends what on which upstream. */
  readonly spend: Spend;
  /** Who uses what is on its way out. */
  readonly uses: Uses;
  /** What instances share. */
  readonly store: RedisStore | undefined;
  /** The same for what they have stored of answers, on a connection of its own: answers are large, and limits are in a hurry. */
  readonly #cacheStore: RedisStore | undefined;
  readonly #invalidations: SharedInvalidations | undefined;
  readonly #host: HttpHost;
  readonly #graphql: GraphqlDoor | undefined;
  readonly #running = new RunningUpstreams();
  #project: Project;
  #assembly: Assembly;
  #started = false;
  #drainingSinceMs: number | undefined;
  #unwatch = () => {};

  /**
   * Builds everything and connects nothing.
   * @throws {ModuleError | ProblemsError} with all that does not fit together
   */
  constructor(project: Project, options: InstanceOptions = {}) {
    this.#project = project;
    const { config } = project.loaded;
    const { logDestination: destination, worker } = options;
    this.telemetry = createTelemetry(config.telemetry, {
      destination,
      resource: { 'service.version': version },
      worker: worker?.index,
    });
    const { telemetry } = this;
    const { debug, log, meter, propagate } = telemetry;
    this.#load = new LoadShedder(config.listen, meter, atTurnEnd);
    this.store = config.redis.url === '' ? undefined : new RedisStore(config.redis, log);
    this.spend = new Spend(systemClock, this.store, log);
    this.cache = new MemoryStore(config.cache);
    const { cache } = this;
    this.#cacheStore = this.store && config.cache.redis ? new RedisStore(config.redis, log, 'cache') : undefined;
    const secondLevel =
      this.#cacheStore &&
      new SecondLevel(this.#cacheStore, {
        clock: systemClock,
        log,
        meter,
        maxEntryBytes: () => cache.maxEntryBytes,
        upstreams: () => cache.upstreams,
      });
    this.#invalidations =
      this.store &&
      new SharedInvalidations({
        cache,
        store: this.#cacheStore ?? this.store,
        messages: this.store,
        second: secondLevel,
        log,
      });
    this.uses = new Uses(systemClock, this.store, log);
    this.#surroundings = {
      clock: systemClock,
      log,
      meter,
      propagate,
      debug,
      load: this.#load,
      store: this.store,
      cache,
      secondLevel,
      workers: worker?.count ?? 1,
      look: (context) => this.#assembly.limits.look(context),
      used: (what, consumer) => this.uses.count(what, consumer),
      spent: (context, upstream, price) => this.spend.count(context, upstream, price),
      ...(worker && { verdicts: worker.verdicts }),
    };
    this.#assembly = assemble(project, this.#surroundings);
    const { execution } = this.#assembly;
    observeCache(meter, cache);
    observeUpstreams(meter, () => this.#assembly.called());
    this.#graphql =
      execution &&
      createGraphqlDoor({
        settings: config.graphql,
        phases: documentPhases,
        execution,
        trusted: this.#assembly.trusted,
        store: this.store,
        clock: systemClock,
        log,
        meter,
        load: this.#load,
        upstream: (name) => this.#assembly.upstreams.get(name),
        used: (what, consumer) => this.uses.count(what, consumer),
        limits: () => this.#assembly.limits,
        refusals: telemetry.refusals,
        audit: telemetry.audit,
        answers: {
          store: this.cache,
          enabled: () => this.#project.loaded.config.cache.answers,
          credentialFields: () => ['authorization', this.#project.loaded.config.auth.apiKeys.header],
        },
        examples: readExamples(project.modulesDir),
        demoKeys: options.demoKeys && { header: config.auth.apiKeys.header, keys: options.demoKeys },
        admit: (context, payload) => admitConnection(this.#assembly.auth.verifiers, context, payload),
      });
    this.#host = new HttpHost(this.#pipeline(), {
      settings: config.listen,
      tls: this.#assembly.tls,
      arrivals: {
        clock: systemClock,
        addresses: new ClientAddresses(config.listen.trustedProxies),
        bodyPace: { timeoutMs: config.listen.bodyTimeout, minBytesPerSecond: config.listen.minBytesPerSecond },
        startServerSpan: (request) => telemetry.startServerSpan(request),
      },
      load: this.#load,
      pages: pages(() => this.#assembly.contracts),
      log,
      telemetry,
      begun: (context) => this.telemetry.begun(context),
      tell: (context) => this.#assembly.limits.tell(context),
      settled: (context) => this.#settled(context),
    });
    // What operators do in several processes is written down once.
    this.operations = new ProcessControl(this, systemClock, worker ? silentLogger : telemetry.audit);
  }

  /** What is running now. */
  get project(): Project {
    return this.#project;
  }

  get assembly(): Assembly {
    return this.#assembly;
  }

  get load(): LoadShedder {
    return this.#load;
  }

  /**
   * Builds another configuration of the same modules beside the one that serves. When it takes over, what is under way stays
   * in the pipeline it came into; upstreams of the same name keep their connections, breaker, health and counters.
   * @throws {ModuleError | ProblemsError} with all that does not fit together; nothing has changed then
   */
  prepare(project: Project): Prepared {
    if (this.readiness.phase === 'draining' || this.readiness.phase === 'stopped')
      throw new ProblemsError(['The gateway is stopping, so it takes no other configuration any more.']);
    const next = assemble(project, this.#surroundings, this.#assembly);
    return { commit: () => this.#switchTo(project, next), discard() {} };
  }

  #switchTo(project: Project, next: Assembly): void {
    const former = this.#assembly;
    const sources = new Map([...former.upstreams.values()].map((upstream) => [upstream.name, sourceOf(upstream)]));
    next.takeOver();
    former.routeContracts.stop();
    this.#graphql?.configure(project.loaded.config.graphql, next.trusted);
    this.cache.configure(project.loaded.config.cache);
    this.#project = project;
    this.#assembly = next;
    this.operations.settle();
    if (next.tls) this.#host.renewTls(next.tls);
    const gone = [...former.upstreams.values()].filter((upstream) => next.upstreams.get(upstream.name) !== upstream);
    this.#host.switchTo(this.#pipeline()).retire(this.#running.retire(gone));
    for (const upstream of next.upstreams.values())
      if (isAnother(sources.get(upstream.name), sourceOf(upstream)))
        this.cache.invalidate({ upstream: upstream.name, all: true });
    if (this.#started) this.#startAssembly();
  }

  #pipeline(): Pipeline {
    const { stages, routes, limits } = this.#assembly;
    return new Pipeline(stages, createDoors(this.#graphql, limits, this.telemetry), routes);
  }

  #startAssembly(): void {
    this.#assembly.auth.start();
    this.#assembly.limits.start();
    this.#running.start(this.#assembly.upstreams.values());
  }

  #settled(context: RequestContext): void {
    this.#assembly.auth.sessions.leave(context);
    settle(context);
    this.telemetry.settled(context, systemClock.monotonicMs() - context.startedMs);
  }

  /** @throws {Error} when the address cannot be listened at */
  async start(): Promise<AddressInfo> {
    const address = await this.#host.listen();
    this.#begin();
    return address;
  }

  /** The same for one of several workers: another process accepts its connections. */
  serve(): void {
    this.#host.serve();
    this.#begin();
  }

  /** @returns false when it takes none any more */
  take(connection: Socket): boolean {
    return this.#host.take(connection);
  }

  #begin(): void {
    this.#started = true;
    this.store?.start();
    this.#cacheStore?.start();
    this.#invalidations?.start();
    this.spend.start();
    this.uses.start();
    this.#unwatch = watchEventLoop((seen) => this.#load.look(seen));
    this.#startAssembly();
    this.readiness.phase = 'ready';
  }

  /** What is stored of a path in this process's memory. */
  stored(question: StoredQuestion): StoredAnswers {
    return storedAnswers(this.cache, question, systemClock.epochMs());
  }

  /**
   * Takes answers out of the cache, here and wherever instances share what they store.
   * @returns how many there were in this process's memory
   */
  async purge(what: Invalidation): Promise<number> {
    const count = this.cache.invalidate(what);
    await this.#invalidations?.told(purgeTimeoutMs);
    return count;
  }

  /** Says that it wants no more traffic, and sends the clients that it has away with their next answer. */
  drain(): void {
    if (this.#drainingSinceMs !== undefined) return;
    this.#drainingSinceMs = systemClock.monotonicMs();
    this.readiness.phase = 'draining';
    this.#host.drain();
  }

  /**
   * Stops without losing a request: says that it wants no more traffic, goes on accepting for `drainDelayMs` until load
   * balancers have noticed, and finishes what is in flight. Telemetry goes on until the last line is said.
   */
  async stop(drainDelayMs = this.#project.loaded.config.listen.drainDelay): Promise<void> {
    this.drain();
    const leftMs = drainDelayMs - (systemClock.monotonicMs() - this.#drainingSinceMs!);
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, leftMs)));
    // GraphQL says goodbye to its subscriptions and WebSockets itself; the host cuts off what has not left.
    await Promise.all([this.#graphql?.close(), this.#host.close(finishTimeoutMs, Math.min(idleMs, drainDelayMs))]);
    this.#unwatch();
    this.readiness.phase = 'stopped';
    this.operations.stop();
    await this.#running.destroy();
    await this.#assembly.limits.stop();
    await this.#assembly.auth.stop();
    this.#assembly.routeContracts.stop();
    await this.spend.stop();
    await this.uses.stop();
    this.#invalidations?.stop();
    this.#cacheStore?.stop();
    this.store?.stop();
  }
}
