import type { AddressInfo } from 'node:net';
import { systemClock } from '#core/clock.ts';
import { AdminServer } from './admin/server.ts';
import type { Assembly } from './assembly.ts';
import type { Control } from './control/control.ts';
import { LocalControl } from './control/local-control.ts';
import { SharedOverrides } from './control/shared-overrides.ts';
import { Instance, type InstanceOptions } from './instance.ts';
import type { Project } from './project.ts';
import type { Telemetry } from './telemetry/telemetry.ts';

/** Where a gateway listens. */
export interface Addresses {
  readonly address: AddressInfo;
  readonly admin: AddressInfo;
}

/** A gateway as whoever started it sees it, whether it is one process or several. */
export interface Startable {
  /** What is running now. */
  readonly project: Project;
  readonly assembly: Assembly;
  readonly telemetry: Telemetry;
  readonly control: Control;
  /** @throws {Error} when an address cannot be listened at; nothing is left open then */
  start(): Promise<Addresses>;
  /** Stops without losing a request; `drainDelayMs` stands in for `listen.drainDelay`. */
  stop(drainDelayMs?: number): Promise<void>;
  /** Ends whatever would outlive this process, at once. */
  abort(): void;
}

/** A gateway in one process: the instance that serves, and the listener for its operators. */
export class Gateway implements Startable {
  readonly control: Control;
  readonly #instance: Instance;
  readonly #overrides: SharedOverrides | undefined;
  readonly #admin: AdminServer;

  /**
   * Builds everything and connects nothing.
   * @throws {ModuleError | ProblemsError} with all that does not fit together
   */
  constructor(project: Project, options: InstanceOptions = {}) {
    this.#instance = new Instance(project, options);
    this.control = new LocalControl(this.#instance, systemClock);
    const { store } = this.#instance;
    this.#overrides = store && new SharedOverrides(this.control, store, systemClock, this.telemetry.log);
    this.#admin = new AdminServer({
      settings: project.loaded.config.admin,
      control: this.control,
      log: this.telemetry.log,
      audit: this.telemetry.audit,
      changes: this.#overrides ?? this.control,
      keys: this.assembly.auth.administration,
    });
  }

  get project(): Project {
    return this.#instance.project;
  }

  get assembly(): Assembly {
    return this.#instance.assembly;
  }

  get telemetry(): Telemetry {
    return this.#instance.telemetry;
  }

  async start(): Promise<Addresses> {
    try {
      const admin = await this.#admin.listen();
      this.#overrides?.start();
      const address = await this.#instance.start();
      return { address, admin };
    } catch (error) {
      await this.stop(0);
      throw error;
    }
  }

  /** Stops without losing a request. The operators' listener is the last to close, so that they see it happen. */
  async stop(drainDelayMs?: number): Promise<void> {
    this.#overrides?.stop();
    await this.#instance.stop(drainDelayMs);
    await this.#admin.close();
    await this.telemetry.shutdown();
  }

  abort(): void {}
}

/** An address as a URL, for people and for the log. */
export function urlOf({ address, family, port }: AddressInfo, secure = false): string {
  return `${secure ? 'https' : 'http'}://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}
