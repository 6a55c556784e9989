import {
  context,
  diag,
  DiagLogLevel,
  logs,
  metrics,
  trace,
  type DiagLogger,
  type Logger as OtelLogger,
} from '@opentelemetry/api';
import { OTLPLogExporter } from '@opentelemetry/exporter-logs-otlp-proto';
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-proto';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import {
  defaultResource,
  resourceAttributesEnvDetector,
  resourceFromAttributes,
  serviceInstanceIdDetector,
} from '@opentelemetry/resources';
import { BatchLogRecordProcessor } from '@opentelemetry/sdk-logs';
import { PeriodicExportingMetricReader, type MetricProducer } from '@opentelemetry/sdk-metrics';
import { NodeSDK } from '@opentelemetry/sdk-node';
import { AlwaysOnSampler, BatchSpanProcessor } from '@opentelemetry/sdk-trace';
import type { Attributes } from '#core/meter.ts';
import { ExportGate } from './export-gate.ts';
import { randomSpanId, randomTraceId } from './ids.ts';
import { PrometheusReader } from './prometheus.ts';
import { scope } from './scope.ts';
import type { TelemetrySettings } from './settings.ts';
import type { Recorder } from './tracer.ts';

/** How long a flush at the end may take; what a dead receiver has not taken by then is lost. */
const shutdownMs = 2_000;
const exportEveryMs = 15_000;
const exportTimeoutMs = 5_000;
/** Spans, and log records, that wait to be exported; beyond it new ones are dropped. */
const maxQueueSize = 8_192;
const maxAttributeLength = 4_096;

interface Part {
  shutdown(): Promise<void>;
}

export interface Sdk {
  /** Undefined where nothing is exported. */
  readonly recorder: Recorder | undefined;
  /** Undefined where nothing is exported. */
  readonly logger: OtelLogger | undefined;
  prometheus(): Promise<string>;
  /** Flushes and stops, within two seconds; never fails. */
  shutdown(): Promise<void>;
}

/**
 * Starts the OpenTelemetry SDK for what Weir records by hand: batching, resources, OTLP/HTTP with protobuf, which every
 * receiver takes. Nothing is instrumented automatically. `OTEL_EXPORTER_OTLP_HEADERS` and its kin are honoured.
 * @param producer where metrics come from; undefined where another process exports them
 */
export function startSdk(
  { serviceName, otlp }: TelemetrySettings,
  resource: Attributes,
  producer: MetricProducer | undefined,
  diagnostics: DiagLogger,
): Sdk {
  const prometheus = new PrometheusReader(producer);
  const gate = new ExportGate();
  const { spanProcessors, logRecordProcessors, metricReaders } =
    otlp === '' ? noExport : exportTo(otlp, producer, gate);
  let nextTraceId: string | undefined;
  const sdk = new NodeSDK({
    serviceName,
    resource: defaultResource().merge(resourceFromAttributes(resource)),
    // Not the process and host detectors: command lines and user names are nobody's business.
    resourceDetectors: [resourceAttributesEnvDetector, serviceInstanceIdDetector],
    textMapPropagator: null,
    instrumentations: [],
    // The decision is made before a span is.
    sampler: new AlwaysOnSampler(),
    idGenerator: {
      generateTraceId: () => {
        const traceId = nextTraceId ?? randomTraceId();
        nextTraceId = undefined;
        return traceId;
      },
      generateSpanId: randomSpanId,
    },
    spanLimits: { attributeValueLengthLimit: maxAttributeLength },
    spanProcessors,
    logRecordProcessors,
    metricReaders: [prometheus, ...metricReaders],
  });
  // NodeSDK hands its providers out by way of the globals only, and the first to register would keep them.
  context.disable();
  trace.disable();
  logs.disable();
  metrics.disable();
  diag.setLogger(diagnostics, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
  sdk.start();
  const exporting = otlp !== '' && prometheus.bound;
  const tracer = trace.getTracer(scope.name);
  const parts: readonly Part[] = prometheus.bound
    ? [prometheus, ...spanProcessors, ...logRecordProcessors, ...metricReaders]
    : [];
  let ended: Promise<void> | undefined;
  return {
    recorder: exporting ? { tracer, nextTraceId: (traceId) => void (nextTraceId = traceId) } : undefined,
    logger: exporting ? logs.getLogger(scope.name) : undefined,
    prometheus: () => prometheus.text(),
    shutdown: () => (ended ??= shutdown(parts, gate)),
  };
}

const noExport = { spanProcessors: [], logRecordProcessors: [], metricReaders: [] };

function exportTo(otlp: string, producer: MetricProducer | undefined, gate: ExportGate) {
  const base = otlp.endsWith('/') ? otlp.slice(0, -1) : otlp;
  const to = (signal: string) => ({ url: `${base}/v1/${signal}`, timeoutMillis: exportTimeoutMs });
  return {
    spanProcessors: [
      new BatchSpanProcessor({ exporter: gate.guard(new OTLPTraceExporter(to('traces'))), maxQueueSize }),
    ],
    logRecordProcessors: [
      new BatchLogRecordProcessor({ exporter: gate.guard(new OTLPLogExporter(to('logs'))), maxQueueSize }),
    ],
    metricReaders: producer
      ? [
          new PeriodicExportingMetricReader({
            exporter: gate.guard(new OTLPMetricExporter(to('metrics'))),
            metricProducers: [producer],
            exportIntervalMillis: exportEveryMs,
            exportTimeoutMillis: exportTimeoutMs,
          }),
        ]
      : [],
  };
}

/** As `NodeSDK.shutdown`, which stops waiting at the first signal that fails, and so would cut the others off. */
async function shutdown(parts: readonly Part[], gate: ExportGate): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, shutdownMs);
  await Promise.race([Promise.allSettled(parts.map((part) => part.shutdown())), late]);
  clearTimeout(timer);
  gate.close();
}
