import { openSync } from 'node:fs';
import { destination, type DestinationStream } from 'pino';
import type { Clock } from '#core/clock.ts';
import type { RequestContext } from '#core/context.ts';
import type { Logger } from '#core/log.ts';
import { ProblemsError } from '#gateway/problems.ts';
import { bounded } from './redaction.ts';
import { RefusalLog } from './refusal-log.ts';

/** Characters of what a client chose the length of. */
const maxText = 256;

/** A request of the operators' listener that was not let in. */
export interface AdminDenial {
  readonly why: string;
  readonly method: string;
  readonly path: string;
  readonly from: string;
}

/**
 * Who was denied what, and what operators did: one stream, whatever the least level of the log is, each line with
 * `"log":"audit"`. No line holds a credential, and of a flood there are a few lines and a sum (see {@link RefusalLog}).
 */
export class AuditLog implements Logger {
  readonly #log: Logger;
  readonly #denials: RefusalLog;
  /** Counted apart, so that no flood at the public door hides one at this. */
  readonly #adminDenials: RefusalLog;

  /** @param log writes every level */
  constructor(log: Logger, clock: Clock) {
    this.#log = log;
    this.#denials = new RefusalLog(this, clock);
    this.#adminDenials = new RefusalLog(adding(this, { listener: 'admin' }), clock);
  }

  debug(fields: object, message: string): void {
    this.#log.debug({ log: 'audit', ...fields }, message);
  }

  info(fields: object, message: string): void {
    this.#log.info({ log: 'audit', ...fields }, message);
  }

  warn(fields: object, message: string): void {
    this.#log.warn({ log: 'audit', ...fields }, message);
  }

  error(fields: object, message: string): void {
    this.#log.error({ log: 'audit', ...fields }, message);
  }

  /**
   * Writes down that a request, or an operation of one, was denied something; once, however often it is asked.
   * @param connection of an operation on a WebSocket: the id of the request that became it
   */
  denied(context: RequestContext, connection?: string): void {
    const { denial, identity, operation } = context;
    if (!denial || denial.told) return;
    denial.told = true;
    const { code, why, keyPrefix } = denial;
    if (!this.#denials.takes(code, context)) return;
    const shown = denial.shown ?? (identity.credential === undefined ? [] : [identity.credential]);
    this.info(
      {
        code,
        why: bounded(why, maxText),
        requestId: bounded(context.id, maxText),
        connection,
        method: context.method,
        route: context.route?.name,
        operation: operation?.name === undefined ? undefined : bounded(operation.name, maxText),
        clientIp: context.clientIp,
        consumer: identity.credential === undefined ? undefined : bounded(identity.consumer, maxText),
        shown,
        keyPrefix,
      },
      'denied',
    );
  }

  adminDenied({ why, method, path, from }: AdminDenial): void {
    const code = 'UNAUTHENTICATED';
    if (!this.#adminDenials.takes(code, { clientIp: from })) return;
    this.warn({ listener: 'admin', why, method, path: bounded(path, maxText), from }, 'denied');
  }

  /** Says what has been counted, now. */
  flush(): void {
    this.#denials.flush();
    this.#adminDenials.flush();
  }
}

function adding(log: Logger, more: object): Logger {
  return {
    debug: (fields, message) => log.debug({ ...more, ...fields }, message),
    info: (fields, message) => log.info({ ...more, ...fields }, message),
    warn: (fields, message) => log.warn({ ...more, ...fields }, message),
    error: (fields, message) => log.error({ ...more, ...fields }, message),
  };
}

export interface AuditFile extends DestinationStream {
  /** Writes what is there. */
  flushSync(): void;
}

/** Between two complaints that it cannot be written. */
const complainEveryMs = 60_000;

/**
 * Opens the file of the audit log, to add to it; only its owner may read it.
 * @throws {ProblemsError} when it cannot be opened
 */
export function openAuditFile(path: string, log: Logger, clock: Clock): AuditFile {
  let fd: number;
  try {
    fd = openSync(path, 'a', 0o600);
  } catch (error) {
    throw new ProblemsError([
      `telemetry.audit: ${(error as Error).message}. Fix: let the gateway write there, or name another file.`,
    ]);
  }
  const stream = destination({
    dest: fd,
    sync: false,
    minLength: 4096,
    periodicFlush: 100,
    maxLength: 16 * 1024 * 1024,
  });
  let complainedMs = Number.NEGATIVE_INFINITY;
  stream.on('error', (err: unknown) => {
    const now = clock.monotonicMs();
    if (now - complainedMs < complainEveryMs) return;
    complainedMs = now;
    log.error({ err }, 'the audit log cannot be written');
  });
  return stream;
}
