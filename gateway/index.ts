/** For teams that start a gateway from code, in tests of their own modules above all. */
import { urlOf } from './gateway.ts';
import { createGateway, listen } from './lifecycle.ts';
import { openProject, type ProjectOptions } from './project.ts';

export interface RunningGateway {
  /** Of the public listener, such as `http://127.0.0.1:4000`. */
  readonly url: string;
  readonly adminUrl: string;
  /** Drains, finishes what is in flight, and closes everything. */
  stop(): Promise<void>;
}

/**
 * Starts a gateway in this process. With `listen: { port: 0 }` and `admin: { port: 0 }` in the configuration it takes free
 * ports.
 * @throws {ConfigError} with all problems of the configuration
 * @throws {ModuleError} when the modules cannot be loaded
 * @throws {ProblemsError} with whatever else keeps it from listening
 */
export async function startGateway(options: ProjectOptions): Promise<RunningGateway> {
  const gateway = createGateway(await openProject(options));
  const { address, admin } = await listen(gateway);
  return {
    url: urlOf(address, gateway.project.loaded.config.listen.tls !== undefined),
    adminUrl: urlOf(admin),
    stop: () => gateway.stop(),
  };
}

export type { ProjectOptions };
