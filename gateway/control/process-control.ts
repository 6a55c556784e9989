import type { Clock } from '#core/clock.ts';
import type { Logger } from '#core/log.ts';
import type { Blocked } from '#policies/auth/blocked.ts';
import type { Limits } from '#policies/limits/limits.ts';
import type { LoadShedder } from '#policies/overload/load-shedder.ts';
import type { Upstream } from '#upstreams/upstream.ts';
import type { Project } from '#gateway/project.ts';
import type { Telemetry } from '#gateway/telemetry/telemetry.ts';
import type { ProcessSnapshot } from './gateway-status.ts';
import {
  maxOverrides,
  type CommandReport,
  type Operator,
  type OperatorCommand,
  type Override,
  type OverrideFilter,
} from './override.ts';
import { Overrides } from './overrides.ts';
import type { Readiness } from './readiness.ts';
import { Steering } from './steering.ts';
import { snapshotOf } from './upstream-snapshot.ts';

/** What one process has that operators see and hold. */
export interface Serving {
  readonly project: Project;
  readonly telemetry: Telemetry;
  readonly readiness: Readiness;
  readonly load: LoadShedder;
  readonly assembly: {
    readonly upstreams: ReadonlyMap<string, Upstream>;
    readonly limits: Pick<Limits, 'shared' | 'scale' | 'scaled' | 'names'>;
    readonly auth: { readonly blocked: Pick<Blocked, 'look'> };
    readonly called: () => Iterable<Upstream>;
    readonly routes: { readonly routes: readonly { readonly name: string }[] };
  };
}

/**
 * The part of control that each process that serves has for itself: what it looks like from inside, and what operators hold
 * in it. Everything it takes and gives is plain data, and a command may come twice.
 */
export class ProcessControl {
  readonly #serving: Serving;
  readonly #clock: Clock;
  readonly #startedMs: number;
  readonly #overrides: Overrides;
  readonly #steering: Steering;

  /** @param audit where it is written what operators did; silent in a process whose commands are written down elsewhere */
  constructor(serving: Serving, clock: Clock, audit: Logger) {
    this.#serving = serving;
    this.#clock = clock;
    this.#startedMs = clock.epochMs();
    this.#overrides = new Overrides(clock, audit, () => this.#steering.apply());
    this.#steering = new Steering(
      () => ({
        upstreams: serving.assembly.upstreams,
        routes: serving.assembly.routes.routes.map(({ name }) => name),
        config: serving.project.loaded.config,
        debug: serving.telemetry.debug,
        blocked: serving.assembly.auth.blocked,
        limits: serving.assembly.limits,
      }),
      () => this.#overrides.list(),
    );
  }

  snapshot(): ProcessSnapshot {
    const { project, readiness, load, assembly } = this.#serving;
    return {
      process: {
        pid: process.pid,
        phase: readiness.phase,
        startedAt: new Date(this.#startedMs).toISOString(),
        inFlight: load.inFlight,
        maxInFlight: load.maxInFlight,
        shedding: load.shedding,
        passed: Number(load.share.toPrecision(3)),
        eventLoopLagMs: Math.round(load.lagMs * 10) / 10,
        ...(assembly.limits.shared && { limits: assembly.limits.shared }),
        ...(assembly.limits.scaled.length > 0 && { scaledLimits: assembly.limits.scaled }),
        maxEventLoopLagMs: project.loaded.config.listen.maxEventLoopLag,
        memoryBytes: process.memoryUsage.rss(),
      },
      upstreams: Array.from(assembly.called(), snapshotOf),
    };
  }

  overrides(): Override[] {
    return this.#overrides.list();
  }

  /** Carries a change out, or says why it cannot be. */
  apply(command: OperatorCommand): CommandReport {
    return command.type === 'set' ? this.#set(command.override) : this.#remove(command.which, command.operator);
  }

  /** Another configuration serves: what is held by name is held there too. */
  settle(): void {
    this.#steering.apply();
  }

  stop(): void {
    this.#overrides.stop();
  }

  #set(override: Override): CommandReport {
    const objection = this.#steering.objection(override);
    if (objection) return objection;
    // A copy that took its time.
    if (Date.parse(override.until) <= this.#clock.epochMs()) return { ok: true, removed: [] };
    if (!this.#overrides.hasRoomFor(override)) {
      const detail = `There are ${maxOverrides} overrides in force already. Remove some first (weir status lists them).`;
      return { ok: false, why: 'conflict', detail };
    }
    const replaced = this.#overrides.set(override);
    return { ok: true, set: override, removed: replaced ? [replaced] : [] };
  }

  #remove(which: OverrideFilter, operator: Operator): CommandReport {
    const removed = this.#overrides.remove(which, operator);
    if (removed.length > 0) return { ok: true, removed };
    if (which.id !== undefined)
      return { ok: false, why: 'unknown', detail: `There is no override '${which.id}' in force.` };
    // Nothing held is nothing wrong; a name that nothing has is.
    const { kind, target } = which;
    const objection = kind && target !== undefined ? this.#steering.objection({ kind, target }) : undefined;
    return objection ?? { ok: true, removed };
  }
}
