import { ValueType, type HrTime } from '@opentelemetry/api';
import { emptyResource } from '@opentelemetry/resources';
import {
  AggregationTemporality,
  DataPointType,
  type CollectionResult,
  type DataPoint,
  type MetricData,
  type MetricProducer,
} from '@opentelemetry/sdk-metrics';
import type { Clock } from '#core/clock.ts';
import type { FamilySnapshot, MeterSnapshot } from './meter.ts';
import { scope } from './scope.ts';

/** Shows what our meter holds to the SDK's metric readers, each of which collects when it likes: everything is cumulative. */
export class MeterProducer implements MetricProducer {
  readonly #snapshot: () => MeterSnapshot | Promise<MeterSnapshot>;
  readonly #clock: Clock;
  readonly #startTime: HrTime;

  constructor(snapshot: () => MeterSnapshot | Promise<MeterSnapshot>, clock: Clock) {
    this.#snapshot = snapshot;
    this.#clock = clock;
    this.#startTime = hrTime(clock.epochMs());
  }

  async collect(): Promise<CollectionResult> {
    const { families, errors } = await this.#snapshot();
    const endTime = hrTime(this.#clock.epochMs());
    const metrics = families
      .filter(({ points }) => points.length > 0)
      .map((family) => metricData(family, this.#startTime, endTime));
    // Readers put the SDK's own resource in the place of this one.
    return {
      resourceMetrics: { resource: emptyResource(), scopeMetrics: [{ scope, metrics }] },
      errors: [...errors],
    };
  }
}

function metricData(family: FamilySnapshot, startTime: HrTime, endTime: HrTime): MetricData {
  const { name, unit, description } = family;
  const shared = {
    descriptor: { name, unit, description, valueType: ValueType.DOUBLE },
    aggregationTemporality: AggregationTemporality.CUMULATIVE,
  };
  if (family.kind === 'histogram') {
    const boundaries = [...family.bounds];
    const dataPoints = family.points.map(({ attributes, counts, sum, count }) => ({
      startTime,
      endTime,
      attributes,
      value: { buckets: { boundaries, counts: [...counts] }, sum, count },
    }));
    return { ...shared, dataPointType: DataPointType.HISTOGRAM, dataPoints };
  }
  const dataPoints: DataPoint<number>[] = family.points.map(({ attributes, value }) => ({
    startTime,
    endTime,
    attributes,
    value,
  }));
  if (family.kind === 'gauge') return { ...shared, dataPointType: DataPointType.GAUGE, dataPoints };
  return { ...shared, dataPointType: DataPointType.SUM, isMonotonic: family.kind === 'counter', dataPoints };
}

function hrTime(epochMs: number): HrTime {
  const seconds = Math.floor(epochMs / 1000);
  return [seconds, Math.round((epochMs - seconds * 1000) * 1e6)];
}
