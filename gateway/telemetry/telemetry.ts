import type { DestinationStream } from 'pino';
import { systemClock, type Clock } from '#core/clock.ts';
import type { RequestContext } from '#core/context.ts';
import type { Logger } from '#core/log.ts';
import type { Attributes, Gauge, Meter } from '#core/meter.ts';
import { logAccess } from './access-log.ts';
import { sdkDiagnostics } from './diagnostics.ts';
import { HttpMetrics } from './http-metrics.ts';
import { createLines, stdout, TelemetryLog } from './log.ts';
import { TelemetryMeter } from './meter.ts';
import { MeterProducer } from './metric-producer.ts';
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
}

/** Everything the gateway shows of itself. */
export interface Telemetry extends Tracing {
  readonly log: Logger;
  readonly meter: Meter;
  /** Connections that clients have open. */
  readonly connections: Gauge;
  /** A request has arrived. */
  begun(context: RequestContext): void;
  /** Its answer is over or broken off: ends its span, counts it, writes its access line. To be called once for each. */
  settled(context: RequestContext, durationMs: number): void;
  /** The body of `/metrics`: Prometheus text, version 0.0.4. */
  prometheus(): Promise<string>;
  /** Flushes spans, metrics and log records and stops, within two seconds, whether or not the receiver answers; never fails. */
  shutdown(): Promise<void>;
}

export function createTelemetry(settings: TelemetrySettings, options: TelemetryOptions = {}): Telemetry {
  const { clock = systemClock, resource = {}, maxSeries } = options;
  const lines = createLines(settings, options.destination ?? stdout());
  const meter = new TelemetryMeter(maxSeries);
  const producer = new MeterProducer(meter, clock);
  const sdk = startSdk(settings, resource, producer, sdkDiagnostics(new TelemetryLog(lines, undefined), clock));
  const log = new TelemetryLog(lines, sdk.logger);
  const http = new HttpMetrics(meter);
  const unwatch = watchRuntime(meter);
  return {
    ...createTracing(settings, sdk.recorder),
    log,
    meter,
    connections: http.connections,
    begun: (context) => http.started(context),
    settled(context, durationMs) {
      endServerSpan(context);
      http.ended(context, durationMs);
      logAccess(log, context, durationMs);
    },
    prometheus: () => sdk.prometheus(),
    async shutdown() {
      unwatch();
      await sdk.shutdown();
    },
  };
}
