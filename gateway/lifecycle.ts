import { isatty } from 'node:tty';
import { systemClock } from '#core/clock.ts';
import { Gateway, type Addresses, type Startable } from './gateway.ts';
import { Fleet } from './fleet/fleet.ts';
import { outliveForgottenPromises } from './forgotten-promises.ts';
import { workersOf } from './fleet/share.ts';
import type { InstanceOptions } from './instance.ts';
import { ProblemsError } from './problems.ts';
import type { Project } from './project.ts';

/** What Node says of an address that cannot be listened at; a host name that has none, it says without a port. */
interface AddressError extends Error {
  readonly code: string;
  readonly syscall: string;
  readonly address?: string;
  readonly port?: number;
  readonly hostname?: string;
}

/**
 * One process, or as many as `listen.workers` says.
 * @param demoKeys API keys that GraphiQL shows, for a demonstration in one process
 * @throws {ModuleError | ProblemsError} with all that does not fit together
 */
export function createGateway(project: Project, { demoKeys }: Pick<InstanceOptions, 'demoKeys'> = {}): Startable {
  const workers = workersOf(project.loaded.config.listen);
  return workers === 1 ? new Gateway(project, { ...(demoKeys && { demoKeys }) }) : new Fleet(project, workers);
}

/**
 * Lets a gateway listen.
 * @throws {ProblemsError} when one of its two addresses cannot be had; nothing is left open then
 */
export async function listen(gateway: Startable): Promise<Addresses> {
  try {
    return await gateway.start();
  } catch (error) {
    const { syscall } = error as Partial<AddressError>;
    // Of several processes one binds for all of them.
    if (syscall !== 'listen' && syscall !== 'bind' && syscall !== 'getaddrinfo') throw error;
    throw new ProblemsError([explain(error as AddressError, gateway.project)]);
  }
}

/** npm passes Ctrl-C on to a program that the terminal has told already; nobody loses patience this soon. */
const sameSignalMs = 500;

/**
 * Loads the file again at each SIGHUP, as servers do since inetd. Waits for SIGTERM or SIGINT and stops the gateway without
 * losing a request. A second signal ends the process at once.
 * From a terminal nobody watches `/readyz`, so there Ctrl-C leaves the drain delay out.
 */
export async function untilSignal(gateway: Startable): Promise<void> {
  outliveForgottenPromises(gateway.telemetry.log);
  process.on('SIGHUP', () => {
    void gateway.control.reload().then(({ ok, hash }) => {
      gateway.telemetry.audit.warn({ happened: 'reload', ok, hash, by: 'SIGHUP' }, 'operator');
    });
  });
  const signal = await new Promise<NodeJS.Signals>((resolve) => {
    let sinceMs: number | undefined;
    const heed = (name: NodeJS.Signals): void => {
      if (sinceMs === undefined) {
        sinceMs = systemClock.monotonicMs();
        resolve(name);
      } else if (systemClock.monotonicMs() - sinceMs > sameSignalMs) {
        gateway.abort();
        process.exit(name === 'SIGINT' ? 130 : 143);
      }
    };
    process.on('SIGTERM', heed);
    process.on('SIGINT', heed);
  });
  gateway.telemetry.log.info({ signal }, 'stopping');
  await gateway.stop(signal === 'SIGINT' && (isatty(0) || isatty(1)) ? 0 : undefined);
}

/** In a sentence: which address, who wants it, why it cannot be had, and what to do. */
function explain({ code, port, address, hostname, message }: AddressError, { loaded }: Project): string {
  const { config, sources } = loaded;
  const host = address ?? hostname;
  const isAdmin = port === undefined ? host === config.admin.host : port === config.admin.port;
  const listener = isAdmin ? 'admin' : 'listen';
  const key = code === 'EADDRINUSE' || code === 'EACCES' ? 'port' : 'host';
  const source = sources.of([listener, key]);
  const variable = /\$\{env\.(\w+)\}/.exec(source)?.[1];
  const another =
    variable === undefined ? `write another ${listener}.${key} in ${loaded.file}` : `set ${variable} to another ${key}`;
  const [reason, fix] = {
    EADDRINUSE: [`port ${port} of ${host} is taken by another process`, `stop that process, or ${another}`],
    EACCES: [`port ${port} may only be listened at with privileges`, `${another}, above 1023`],
    EADDRNOTAVAIL: [`${host} is no address of this machine`, another],
    ENOTFOUND: [`${host} has no address`, another],
  }[code] ?? [message, another];
  return `${listener}.${key} (${source}): ${reason}. Fix: ${fix}.`;
}
