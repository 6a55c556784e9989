import { diag } from '@opentelemetry/api';
import { PrometheusSerializer } from '@opentelemetry/exporter-prometheus';
import {
  AggregationTemporality,
  DataPointType,
  MetricReader,
  type MetricData,
  type MetricProducer,
} from '@opentelemetry/sdk-metrics';

/**
 * Suffixes for UCUM units (OpenTelemetry, "Prometheus and OpenMetrics Compatibility": the unit is part of a Prometheus
 * name); the serializer itself only adds `_total`. Annotations such as `{request}` are no units.
 */
const unitSuffixes: Readonly<Record<string, string>> = {
  s: '_seconds',
  ms: '_milliseconds',
  By: '_bytes',
  '%': '_percent',
};

/** The reader behind `/metrics`: collects when it is asked. */
export class PrometheusReader extends MetricReader {
  /** Scope labels would be the same on every series, so they are left out. */
  readonly #serializer = new PrometheusSerializer(undefined, false, undefined, false, true);
  /** Bound to a running SDK: `OTEL_SDK_DISABLED` may have turned it off. */
  bound = false;

  constructor(producer: MetricProducer | undefined) {
    super({
      aggregationTemporalitySelector: () => AggregationTemporality.CUMULATIVE,
      metricProducers: producer ? [producer] : [],
    });
  }

  protected override onInitialized(): void {
    this.bound = true;
  }

  protected override async onShutdown(): Promise<void> {}

  protected override async onForceFlush(): Promise<void> {}

  /** The text exposition format, version 0.0.4; empty without an SDK. */
  async text(): Promise<string> {
    if (!this.bound) return '';
    const { resourceMetrics, errors } = await this.collect();
    if (errors.length > 0) diag.warn('metrics could not be observed', ...errors);
    return this.#serializer.serialize({
      resource: resourceMetrics.resource,
      scopeMetrics: resourceMetrics.scopeMetrics.map(({ scope, metrics }) => ({ scope, metrics: metrics.map(named) })),
    });
  }
}

/** Without its unit, which is in the name now: the format has no `# UNIT`. */
function named(metric: MetricData): MetricData {
  const { name, unit } = metric.descriptor;
  const gauge = metric.dataPointType === DataPointType.GAUGE;
  return { ...metric, descriptor: { ...metric.descriptor, name: withUnit(name, unit, gauge), unit: '' } };
}

/** A metric's name with its unit, up to what the serializer does: `_` for what Prometheus' names cannot have, and `_total`. */
export function withUnit(name: string, unit: string, gauge: boolean): string {
  const suffix = gauge && unit === '1' ? '_ratio' : (unitSuffixes[unit] ?? '');
  return name.endsWith(suffix) ? name : name + suffix;
}
