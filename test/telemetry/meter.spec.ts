import { describe, expect, it } from 'vitest';
import { TelemetryMeter } from '#gateway/telemetry/meter.ts';

const instrument = { unit: '{call}', description: 'Calls.' };

describe('the meter', () => {
  it('gives one instrument for the same attributes, in whatever order', () => {
    const calls = new TelemetryMeter().counter('calls', instrument);
    expect(calls.with({ a: 1, b: 'x' })).toBe(calls.with({ b: 'x', a: 1 }));
    expect(calls.with({ a: 1 })).not.toBe(calls.with({ a: '1' }));
  });

  it('gives one family to all who ask for its name, and refuses it as something else', () => {
    const meter = new TelemetryMeter();
    meter.counter('calls', instrument).with({}).add(2);
    meter.counter('calls', instrument).with({}).add(3);
    expect(meter.snapshot().families).toMatchObject([{ name: 'calls', points: [{ value: 5 }] }]);
    expect(() => meter.histogram('calls', instrument)).toThrow("metric 'calls' is already a counter");
    expect(() => meter.gauge('calls', instrument)).toThrow("metric 'calls' is already a counter");
  });

  it('puts what equals a bound into the bucket below it', () => {
    const meter = new TelemetryMeter();
    const histogram = meter.histogram('sizes', { ...instrument, bounds: [1, 10] }).with({});
    for (const value of [0, 1, 1.1, 10, 11, 1e9]) histogram.record(value);
    expect(meter.snapshot().families).toMatchObject([{ points: [{ counts: [2, 2, 2], count: 6, sum: 1e9 + 23.1 }] }]);
  });

  it('has the duration buckets of the HTTP semantic conventions unless told otherwise', () => {
    const meter = new TelemetryMeter();
    meter.histogram('durations', instrument).with({});
    expect(meter.snapshot().families).toMatchObject([
      { bounds: [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10] },
    ]);
  });

  it('keeps a bounded number of series, the last of which takes what is left', () => {
    const meter = new TelemetryMeter(10);
    const calls = meter.counter('calls', instrument);
    for (let i = 0; i < 1000; i++) calls.with({ client: i }).add(1);
    calls.with({ client: 3 }).add(1);
    const points = meter.snapshot().families[0]!.points as readonly { attributes: object; value: number }[];
    expect(points).toHaveLength(10);
    expect(points[3]).toEqual({ attributes: { client: 3 }, value: 2 });
    expect(points.at(-1)).toEqual({ attributes: { 'otel.metric.overflow': true }, value: 991 });
  });

  it('keeps 2000 series by default, of observations too', () => {
    const meter = new TelemetryMeter();
    meter.observe('observed', { ...instrument, kind: 'gauge' }, (report) => {
      for (let i = 0; i < 5000; i++) report(i, { i });
    });
    expect(meter.snapshot().families[0]!.points).toHaveLength(2000);
  });

  it('asks all observers of a name, of which the last word counts, and survives one that throws', () => {
    const meter = new TelemetryMeter();
    const broken = new Error('broken');
    meter.observe('state', { ...instrument, kind: 'gauge' }, (report) => report(1, { upstream: 'orders' }));
    meter.observe('state', { ...instrument, kind: 'gauge' }, () => {
      throw broken;
    });
    meter.observe('state', { ...instrument, kind: 'gauge' }, (report) => {
      report(2, { upstream: 'orders' });
      report(3, { upstream: 'users' });
    });
    const { families, errors } = meter.snapshot();
    expect(families[0]?.points).toMatchObject([{ value: 2 }, { value: 3 }]);
    expect(errors).toEqual([broken]);
  });
});
