import { ROOT_CONTEXT, SeverityNumber, trace, TraceFlags, type Logger as OtelLogger } from '@opentelemetry/api';
import { destination, pino, stdTimeFunctions, type DestinationStream, type Logger as Pino } from 'pino';
import type { Logger } from '#core/log.ts';
import { redactFields } from './redaction.ts';
import type { TelemetrySettings } from './settings.ts';
import { isSpanId, isTraceId } from './trace-context.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

const severities: Readonly<Record<LogLevel, SeverityNumber>> = {
  debug: SeverityNumber.DEBUG,
  info: SeverityNumber.INFO,
  warn: SeverityNumber.WARN,
  error: SeverityNumber.ERROR,
};

/** Lines are written 4 KiB at a time, and what is there at least this often. */
const flushEveryMs = 100;
/** Whoever reads stdout may stall; beyond this lines are dropped rather than kept in memory. */
const maxBacklog = 16 * 1024 * 1024;

/** What several processes may write to one pipe at a time without their bytes being mixed (POSIX: PIPE_BUF). */
const atomicWrite = 4096;

/** stdout without a system call per line, and without blocking; pino flushes it when the process exits. */
function stdout(shared: boolean): DestinationStream {
  const stream = destination({
    dest: 1,
    sync: false,
    // A write is whole lines either way; of those that share a pipe each must go into it in one piece.
    ...(shared ? { minLength: atomicWrite / 2, maxWrite: atomicWrite } : { minLength: 4096 }),
    maxLength: maxBacklog,
    periodicFlush: flushEveryMs,
  });
  // A full disk costs lines, not the gateway. (That nobody reads any more, EPIPE, pino deals with itself.)
  stream.on('error', () => {});
  return stream;
}

/** Where lines go, and what is in each of them. */
export interface Lines {
  readonly pino: Pino;
  readonly stream: DestinationStream;
  readonly base: object;
}

/** @param worker the number of this process among those that share stdout */
export function createLines(
  { log, serviceName }: TelemetrySettings,
  {
    destination: given,
    worker,
  }: { readonly destination?: DestinationStream | undefined; readonly worker?: number | undefined },
): Lines {
  const stream = given ?? stdout(worker !== undefined);
  const base = { service: serviceName, pid: process.pid, ...(worker !== undefined && { worker }) };
  return linesTo(stream, log, base);
}

/** Lines of their own least level. */
export function linesTo(stream: DestinationStream, level: TelemetrySettings['log'], base: object): Lines {
  const lines = pino(
    {
      level,
      base,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      // redactFields has spelt errors out, at any depth and under any key; pino's own serializer would read them again.
      serializers: { err: (value: unknown) => value },
    },
    stream,
  );
  return { pino: lines, stream, base };
}

/**
 * Log lines to stdout and, where there is a receiver, to OTLP. Fields named `traceId` and `spanId` tie a record to its
 * trace.
 */
export class TelemetryLog implements Logger {
  readonly #pino: Pino;
  readonly #otel: OtelLogger | undefined;
  readonly #stream: DestinationStream;
  /** What pino puts in every line, as text: `"service":"weir","pid":1`. */
  readonly #base: string;

  constructor({ pino: lines, stream, base }: Lines, otel: OtelLogger | undefined) {
    this.#pino = lines;
    this.#stream = stream;
    this.#base = JSON.stringify(base).slice(1, -1);
    this.#otel = otel;
  }

  debug(fields: object, message: string): void {
    if (this.enabled('debug')) this.write('debug', redactFields(fields), message);
  }

  info(fields: object, message: string): void {
    if (this.enabled('info')) this.write('info', redactFields(fields), message);
  }

  warn(fields: object, message: string): void {
    if (this.enabled('warn')) this.write('warn', redactFields(fields), message);
  }

  error(fields: object, message: string): void {
    if (this.enabled('error')) this.write('error', redactFields(fields), message);
  }

  enabled(level: LogLevel): boolean {
    return this.#pino.isLevelEnabled(level);
  }

  /**
   * A record of level `info` for each request. Its line is what pino would make of it, and goes to the same stream; made
   * here, since pino would spend on it half of what the gateway spends on a small answer.
   */
  access(fields: Readonly<Record<string, unknown>>, message: string): void {
    this.#line('info', fields, message);
  }

  /** A record of level `debug` that an operator asked for, whatever the least level is. Its fields hold no secrets. */
  asked(fields: Readonly<Record<string, unknown>>, message: string): void {
    this.#line('debug', fields, message);
  }

  #line(level: LogLevel, fields: Readonly<Record<string, unknown>>, message: string): void {
    const members = JSON.stringify(fields).slice(1, -1);
    this.#stream.write(`{"level":"${level}","time":"${isoTime()}",${this.#base},${members},"msg":"${message}"}\n`);
    this.#emit(level, fields, message);
  }

  /** A record of an enabled level, whose fields hold no secrets and are bounded. */
  write(level: LogLevel, fields: Readonly<Record<string, unknown>>, message: string): void {
    this.#pino[level](fields, message);
    this.#emit(level, fields, message);
  }

  #emit(level: LogLevel, fields: Readonly<Record<string, unknown>>, message: string): void {
    this.#otel?.emit({
      severityNumber: severities[level],
      severityText: level,
      body: message,
      attributes: fields,
      context: contextOf(fields),
    });
  }
}

/** The moment as pino's `isoTime` prints it. Its seconds are printed once, for all lines that fall into them. */
function isoTime(): string {
  const now = Date.now();
  const second = now - (now % 1000);
  if (second !== shown.second) {
    shown.second = second;
    shown.text = new Date(second).toISOString().slice(0, -4);
  }
  return `${shown.text}${String(now % 1000).padStart(3, '0')}Z`;
}

const shown = { second: -1, text: '' };

function contextOf({ traceId, spanId, sampled }: Readonly<Record<string, unknown>>) {
  if (typeof traceId !== 'string' || typeof spanId !== 'string') return ROOT_CONTEXT;
  if (!isTraceId(traceId) || !isSpanId(spanId)) return ROOT_CONTEXT;
  const traceFlags = sampled === true ? TraceFlags.SAMPLED : TraceFlags.NONE;
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags });
}
