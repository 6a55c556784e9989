import type { DestinationStream } from 'pino';
import { systemClock, type Clock } from '#core/clock.ts';
import type { RequestContext } from '#core/context.ts';
import type { Logger } from '#core/log.ts';
import type { Attributes, Gauge, Meter } from '#core/meter.ts';
import { logAccess, logUnrouted, type UnroutedRequest } from './access-log.ts';
import { AuditLog, openAuditFile } from './audit-log.ts';
import { debugAnswer, RequestDebugLog } from './debug-log.ts';
import { sdkDiagnostics } from './diagnostics.ts';
import { HttpMetrics, type ConnectionRefusal } from './http-metrics.ts';
import { createLines, linesTo, TelemetryLog } from './log.ts';
import { TelemetryMeter, type MeterSnapshot } from './meter.ts';
import { MeterProducer } from './metric-producer.ts';
import { RefusalLog } from './refusal-log.ts';
import { watchRuntime } from './runtime-metrics.ts';
import { startSdk } from './sdk.ts';
import { endServerSpan } from './server-span.ts';
import type { TelemetrySettings } from './settings.ts';
import { createTracing, type Tracing } from './tracer.ts';

export interface TelemetryOptions {
  /** Where log lines go, instead of stdout. */
  readonly destination?: DestinationStream | undefined;
  /** Resource attributes beside `service.name`, such as `service.version`. */
  readonly resource?: Attributes;
  readonly clock?: Clock;
  /** Series of one metric; default 2000. */
  readonly maxSeries?: number;
  /** Of a process that is one of several: it stands in every log line, and another process shows what this one measures. */
  readonly worker?: number | undefined;
  /** What the metrics are, where other processes have measured part of them; default: what this one has. */
  readonly collect?: ((own: MeterSnapshot) => Promise<MeterSnapshot>) | undefined;
}

/** Everything the gateway shows of itself. */
export interface Telemetry extends Tracing {
  readonly log: Logger;
  /** Denials, and what operators do. */
  readonly audit: AuditLog;
  readonly meter: Meter;
  /** Of what an operator asked to see. */
  readonly debug: RequestDebugLog;
  /** Connections that clients have open. */
  readonly connections: Gauge;
  /** A request has arrived. */
  begun(context: RequestContext): void;
  /** Its answer is over or broken off: ends its span, counts it, writes its access line. To be called once for each. */
  settled(context: RequestContext, durationMs: number): void;
  /** The same for a request that was answered before it had a context. */
  refused(request: UnroutedRequest): void;
  /** A connection was closed at once. */
  connectionRefused(reason: ConnectionRefusal, from: { readonly clientIp: string }): void;
  readonly refusals: RefusalLog;
  /** What this process has measured. */
  snapshot(): MeterSnapshot;
  /** The body of `/metrics`: Prometheus text, version 0.0.4. */
  prometheus(): Promise<string>;
  /** Flushes spans, metrics and log records and stops, within two seconds, whether or not the receiver answers; never fails. */
  shutdown(): Promise<void>;
}

/** @throws {ProblemsError} when the file of the audit log cannot be opened */
export function createTelemetry(settings: TelemetrySettings, options: TelemetryOptions = {}): Telemetry {
  const { clock = systemClock, resource = {}, maxSeries } = options;
  const lines = createLines(settings, options);
  const meter = new TelemetryMeter(maxSeries);
  const producer = producerOf(meter, clock, options);
  const sdk = startSdk(settings, resource, producer, sdkDiagnostics(new TelemetryLog(lines, undefined), clock));
  const log = new TelemetryLog(lines, sdk.logger);
  const auditFile = settings.audit === '' ? undefined : openAuditFile(settings.audit, log, clock);
  const auditLines = linesTo(auditFile ?? lines.stream, 'info', lines.base);
  const audit = new AuditLog(new TelemetryLog(auditLines, sdk.logger), clock);
  const refusals = new RefusalLog(log, clock);
  const http = new HttpMetrics(meter);
  const debug = new RequestDebugLog(log, clock);
  const unwatch = watchRuntime(meter);
  return {
    ...createTracing(settings, sdk.recorder),
    log,
    audit,
    meter,
    debug,
    connections: http.connections,
    begun: (context) => http.started(context),
    settled(context, durationMs) {
      endServerSpan(context);
      http.ended(context, durationMs);
      logAccess(log, refusals, context, durationMs);
      if (context.denial) audit.denied(context);
      if (debug.on) debugAnswer(debug, context, durationMs);
    },
    refused(request) {
      const { method = '', scheme, status, error } = request;
      http.refused({ method, scheme, status, error });
      logUnrouted(log, refusals, request);
    },
    connectionRefused(reason, from) {
      http.refusedConnections[reason].add(1);
      refusals.count(reason === 'total' ? 'CONNECTIONS' : 'CONNECTIONS_PER_IP', from);
    },
    refusals,
    snapshot: () => meter.snapshot(),
    prometheus: () => sdk.prometheus(),
    async shutdown() {
      unwatch();
      refusals.flush();
      audit.flush();
      auditFile?.flushSync();
      debug.flush();
      await sdk.shutdown();
    },
  };
}

function producerOf(
  meter: TelemetryMeter,
  clock: Clock,
  { worker, collect }: TelemetryOptions,
): MeterProducer | undefined {
  if (worker !== undefined) return undefined;
  return new MeterProducer(collect ? () => collect(meter.snapshot()) : () => meter.snapshot(), clock);
}
