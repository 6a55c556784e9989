import { afterEach, describe, expect, it } from 'vitest';
import { open } from '#policies/auth/requirement.ts';
import { telemetrySchema } from '#gateway/telemetry/settings.ts';
import { createTelemetry, type Telemetry } from '#gateway/telemetry/telemetry.ts';
import { exposition, type Family } from './exposition.ts';
import { OtlpReceiver, record, type Received } from './otlp-receiver.ts';
import { endedRequest, Lines } from './request.ts';

const instrument = { unit: '{call}', description: 'Calls.' };
let telemetry: Telemetry;
let receiver: OtlpReceiver | undefined;
let lines: Lines;

function start(settings: object = {}, maxSeries?: number): Telemetry {
  lines = new Lines();
  telemetry = createTelemetry(telemetrySchema.parse(settings), {
    destination: lines,
    ...(maxSeries !== undefined && { maxSeries }),
  });
  return telemetry;
}

async function family(name: string): Promise<Family> {
  const found = exposition(await telemetry.prometheus()).get(name);
  if (!found) throw new Error(`/metrics has no ${name}`);
  return found;
}

afterEach(async () => {
  await telemetry.shutdown();
  await receiver?.close();
  receiver = undefined;
});

describe('/metrics', () => {
  it('is valid Prometheus text, with units and _total in the names', async () => {
    const { meter } = start();
    meter.counter('weir.calls', instrument).with({ upstream: 'a "quoted"\\ \n name' }).add(3);
    meter.gauge('weir.open', { unit: '{connection}', description: 'Open.' }).with({}).set(4);
    meter
      .histogram('weir.call.duration', { unit: 's', description: 'Line one\nline two.' })
      .with({ ok: true })
      .record(0.3);
    meter.counter('weir.sent', { unit: 'By', description: 'Sent.' }).with({}).add(1024);
    meter.observe('weir.share', { unit: '1', description: 'Share.', kind: 'gauge' }, (report) => report(0.5, {}));
    const families = exposition(await telemetry.prometheus());
    expect(families.get('weir_calls_total')).toMatchObject({
      type: 'counter',
      samples: [{ labels: { upstream: 'a "quoted"\\ \n name' }, value: 3 }],
    });
    expect(families.get('weir_open')).toMatchObject({ type: 'gauge', samples: [{ value: 4 }] });
    expect(families.get('weir_call_duration_seconds')).toMatchObject({ type: 'histogram' });
    expect(families.get('weir_sent_bytes_total')).toMatchObject({ type: 'counter', samples: [{ value: 1024 }] });
    expect(families.get('weir_share_ratio')).toMatchObject({ type: 'gauge', samples: [{ value: 0.5 }] });
    expect(families.get('target_info')?.samples[0]?.labels).toMatchObject({ service_name: 'weir' });
  });

  it('goes on when an observer throws, and says so in the log', async () => {
    const { meter } = start();
    meter.observe('broken', { ...instrument, kind: 'gauge' }, () => {
      throw new Error('no such thing');
    });
    meter.counter('fine', instrument).with({}).add(1);
    expect((await family('fine_total')).samples).toMatchObject([{ value: 1 }]);
    expect(JSON.stringify(lines.all)).toContain('no such thing');
  });

  it('can be read at any time, by any number of readers, and counts on', async () => {
    const calls = start().meter.counter('calls', instrument).with({});
    calls.add(1);
    const [first, second] = await Promise.all([family('calls_total'), family('calls_total')]);
    calls.add(1);
    const third = await family('calls_total');
    expect([first, second, third].map(({ samples }) => samples[0]?.value)).toEqual([1, 1, 2]);
  });
});

describe('http.server metrics', () => {
  function serve(facts: {
    method?: string;
    status?: number;
    errorCode?: string;
    route?: string;
    durationMs?: number;
  }): void {
    const { method = 'GET', status = 200, errorCode, route, durationMs = 20 } = facts;
    const span = telemetry.startServerSpan({ method, headers: {}, trustedPeer: false, name: method });
    const context = endedRequest(span, { method }, { status });
    if (route !== undefined)
      context.route = { name: route, door: 'rest', path: '/', maxBodyBytes: 1, bufferBytes: 1, requirement: open };
    context.errorCode = errorCode;
    telemetry.begun(context);
    telemetry.settled(context, durationMs);
  }

  it('count requests by method, route and status, and time them in seconds', async () => {
    start();
    serve({ route: 'orders', durationMs: 4 });
    serve({ route: 'orders', durationMs: 20 });
    serve({ route: 'orders', status: 404 });
    serve({ route: 'users', method: 'POST', status: 201 });
    serve({ status: 404 });
    const duration = await family('http_server_request_duration_seconds');
    const counts = duration.samples
      .filter(({ name }) => name.endsWith('_count'))
      .map(({ labels, value }) => [
        labels.http_request_method,
        labels.http_route,
        labels.http_response_status_code,
        value,
      ]);
    expect(counts).toEqual([
      ['GET', 'orders', '200', 2],
      ['GET', 'orders', '404', 1],
      ['POST', 'users', '201', 1],
      ['GET', undefined, '404', 1],
    ]);
    const sum = duration.samples.find(({ name, labels }) => name.endsWith('_sum') && labels.http_route === 'orders');
    expect(sum?.value).toBeCloseTo(0.024);
    const bucket = (le: string) =>
      duration.samples.find(({ labels }) => labels.le === le && labels.http_route === 'orders')?.value;
    expect([bucket('0.005'), bucket('0.01'), bucket('0.025'), bucket('+Inf')]).toEqual([1, 1, 2, 2]);
  });

  it('name the error of what failed, not of what the client did wrong', async () => {
    start();
    serve({ route: 'orders', status: 503, errorCode: 'UPSTREAM_UNAVAILABLE' });
    serve({ route: 'orders', status: 500 });
    serve({ route: 'orders', status: 200, errorCode: 'UPSTREAM_BAD_RESPONSE' });
    serve({ route: 'orders', status: 404, errorCode: 'ROUTE_NOT_FOUND' });
    serve({ route: 'orders', status: 0, errorCode: 'CLIENT_CLOSED_REQUEST' });
    const { samples } = await family('http_server_request_duration_seconds');
    const errors = samples
      .filter(({ name }) => name.endsWith('_count'))
      .map(({ labels }) => [labels.http_response_status_code, labels.error_type]);
    expect(errors).toEqual([
      ['503', 'UPSTREAM_UNAVAILABLE'],
      ['500', '500'],
      ['200', 'UPSTREAM_BAD_RESPONSE'],
      ['404', undefined],
      [undefined, 'CLIENT_CLOSED_REQUEST'],
    ]);
  });

  it('count made-up methods as one', async () => {
    start();
    for (let i = 0; i < 50; i++) serve({ method: `METHOD${i}`, status: 405 });
    const { samples } = await family('http_server_request_duration_seconds');
    const counts = samples.filter(({ name }) => name.endsWith('_count'));
    expect(counts).toMatchObject([{ labels: { http_request_method: '_OTHER' }, value: 50 }]);
  });

  it('know what is under way and which connections are open', async () => {
    start();
    const span = telemetry.startServerSpan({ method: 'GET', headers: {}, trustedPeer: false, name: 'GET' });
    const contexts = [endedRequest(span), endedRequest(span), endedRequest(span, { method: 'POST' })];
    for (const context of contexts) telemetry.begun(context);
    telemetry.connections.add(2);
    const active = async () =>
      (await family('http_server_active_requests')).samples.map(({ labels, value }) => [
        labels.http_request_method,
        value,
      ]);
    expect(await active()).toEqual([
      ['GET', 2],
      ['POST', 1],
    ]);
    expect((await family('weir_server_connections')).samples).toMatchObject([{ value: 2 }]);
    for (const context of contexts) telemetry.settled(context, 1);
    expect(await active()).toEqual([
      ['GET', 0],
      ['POST', 0],
    ]);
  });
});

describe('runtime metrics', () => {
  it('tell of event loop, CPU, memory and garbage collection', async () => {
    start();
    const until = performance.now() + 60;
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    while (performance.now() < until);
    let families = exposition(await telemetry.prometheus());
    const value = (name: string) => families.get(name)?.samples[0]?.value;
    // The delay is measured by a timer of Node's own, which has to have its turn.
    while (!(value('nodejs_eventloop_delay_max_seconds')! > 0.03)) {
      await new Promise((resolve) => {
        setTimeout(resolve, 5);
      });
      families = exposition(await telemetry.prometheus());
    }
    expect(value('nodejs_eventloop_delay_p50_seconds')).toBeGreaterThan(0);
    expect(value('nodejs_eventloop_utilization_ratio')).toBeGreaterThan(0);
    expect(value('nodejs_eventloop_utilization_ratio')).toBeLessThanOrEqual(1);
    expect(value('process_cpu_time_seconds_total')).toBeGreaterThan(0);
    expect(value('process_memory_usage_bytes')).toBeGreaterThan(10_000_000);
    expect(value('process_uptime_seconds')).toBeGreaterThan(0);
    expect(
      families.get('v8js_memory_heap_used_bytes')?.samples.map(({ labels }) => labels.v8js_heap_space_name),
    ).toContain('old_space');
    expect(families.get('v8js_gc_duration_seconds')?.type).toBe('histogram');
  });
});

describe('metrics over OTLP', () => {
  const point = (metric: Received | undefined, kind: string) =>
    ((metric?.[kind] as { points: Record<string, unknown>[] } | undefined)?.points ?? [])[0];

  it('have the same values, as cumulative sums, gauges and histograms', async () => {
    receiver = await OtlpReceiver.listen();
    const { meter } = start({ otlp: receiver.url });
    meter.counter('calls', instrument).with({ upstream: 'orders' }).add(7);
    meter.gauge('open', instrument).with({}).add(-2);
    meter
      .histogram('sizes', { ...instrument, bounds: [1, 10] })
      .with({ ok: true })
      .record(4);
    meter.observe('share', { ...instrument, kind: 'gauge' }, (report) => report(0.5, {}));
    await telemetry.shutdown();
    const metric = (name: string) => receiver?.metrics.find((candidate) => candidate.name === name);
    expect(metric('calls')).toMatchObject({ sum: { monotonic: true, temporality: 2 }, unit: '{call}' });
    expect(point(metric('calls'), 'sum')).toMatchObject({ double: 7 });
    expect(record(point(metric('calls'), 'sum')?.attributes)).toEqual({ upstream: 'orders' });
    expect(metric('open')?.sum).not.toMatchObject({ monotonic: true });
    expect(point(metric('open'), 'sum')).toMatchObject({ double: -2 });
    expect(point(metric('share'), 'gauge')).toMatchObject({ double: 0.5 });
    expect(metric('sizes')).toMatchObject({ histogram: { temporality: 2 } });
    expect(point(metric('sizes'), 'histogram')).toMatchObject({
      count: 1n,
      sum: 4,
      counts: [0n, 1n, 0n],
      bounds: [1, 10],
    });
    expect(metric('calls')?.resource).toMatchObject({ 'service.name': 'weir' });
  });
});
