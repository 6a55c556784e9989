import { afterEach, describe, expect, it } from 'vitest';
import { open } from '#policies/auth/requirement.ts';
import type { Headers } from '#core/headers.ts';
import { telemetrySchema } from '#gateway/telemetry/settings.ts';
import { createTelemetry, type Telemetry } from '#gateway/telemetry/telemetry.ts';
import { OtlpReceiver, type Received } from './otlp-receiver.ts';
import { endedRequest, Lines } from './request.ts';

const server = 2;
const client = 3;
const internal = 1;
const error = 2;

let receiver: OtlpReceiver;
let telemetry: Telemetry;
const lines = new Lines();

async function start(settings: object = {}): Promise<void> {
  receiver = await OtlpReceiver.listen();
  telemetry = createTelemetry(telemetrySchema.parse({ otlp: receiver.url, sampleRatio: 1, ...settings }), {
    destination: lines,
    resource: { 'service.version': '1.2.3' },
  });
}

/** What has arrived once everything is flushed. */
async function exported(): Promise<Received[]> {
  await telemetry.shutdown();
  return receiver.spans;
}

const named = (spans: readonly Received[], name: string) => spans.filter((span) => span.name === name);

afterEach(async () => {
  await telemetry.shutdown();
  await receiver.close();
});

describe('recorded spans', () => {
  it('form the tree of a request with two upstream calls, one of them in two attempts', async () => {
    await start();
    const root = telemetry.startServerSpan({ method: 'POST', headers: {}, trustedPeer: false, name: 'POST' });
    const operation = root.child('query Checkout', 'internal');
    const toNextHop: Headers[] = [];
    for (const [upstream, statuses] of [
      ['orders', [503, 200]],
      ['users', [200]],
    ] as const) {
      const call = operation.child(upstream, 'internal');
      for (const status of statuses) {
        const attempt = call.child('GET', 'client');
        const headers: Headers = {};
        telemetry.propagate(attempt, headers);
        toNextHop.push(headers);
        attempt.set('http.response.status_code', status);
        if (status === 503) attempt.fail('status 503');
        attempt.end();
      }
      call.end();
    }
    operation.end();
    telemetry.settled(endedRequest(root, { method: 'POST' }), 12);

    const spans = await exported();
    expect(spans).toHaveLength(7);
    expect(new Set(spans.map((span) => span.traceId))).toEqual(new Set([root.traceId]));
    const [rootSpan] = named(spans, 'POST');
    expect(rootSpan).toMatchObject({ spanId: root.spanId, kind: server });
    expect(rootSpan?.parentSpanId ?? '').toBe('');
    const [operationSpan] = named(spans, 'query Checkout');
    expect(operationSpan).toMatchObject({ parentSpanId: root.spanId, kind: internal });
    const [orders] = named(spans, 'orders');
    const [users] = named(spans, 'users');
    expect([orders?.parentSpanId, users?.parentSpanId]).toEqual([operationSpan?.spanId, operationSpan?.spanId]);
    const attempts = named(spans, 'GET');
    expect(attempts.map((attempt) => attempt.parentSpanId)).toEqual([orders?.spanId, orders?.spanId, users?.spanId]);
    expect(attempts.every((attempt) => attempt.kind === client)).toBe(true);
    expect(attempts[0]).toMatchObject({
      status: { code: error, message: 'status 503' },
      attributes: { 'http.response.status_code': 503 },
    });
    expect((attempts[1]?.status as { code?: number } | undefined)?.code ?? 0).toBe(0);
    // The next hop's parent is the attempt that reached it.
    expect(toNextHop.map((headers) => headers.traceparent)).toEqual(
      attempts.map((attempt) => `00-${root.traceId}-${String(attempt.spanId)}-03`),
    );
    expect(toNextHop.map((headers) => headers['x-b3-spanid'])).toEqual(attempts.map((attempt) => attempt.spanId));
  });

  it('hang under the span of a caller, with its tracestate', async () => {
    await start();
    const headers = { traceparent: `00-${'1'.repeat(32)}-${'2'.repeat(16)}-00`, tracestate: 'foo=1,bar=2' };
    const span = telemetry.startServerSpan({ method: 'GET', headers, trustedPeer: false, name: 'GET' });
    span.child('call', 'client').end();
    span.end();
    const spans = await exported();
    expect(named(spans, 'GET')[0]).toMatchObject({
      traceId: '1'.repeat(32),
      parentSpanId: '2'.repeat(16),
      traceState: 'foo=1,bar=2',
    });
    expect(named(spans, 'call')[0]).toMatchObject({ parentSpanId: span.spanId, traceState: 'foo=1,bar=2' });
  });

  it('are described after the semantic conventions, named by method and route, and carry the resource', async () => {
    await start({ serviceName: 'shop-gateway' });
    const span = telemetry.startServerSpan({ method: 'GET', headers: {}, trustedPeer: false, name: 'GET' });
    const context = endedRequest(span, { target: '/v1/orders/7?token=secret' }, { status: 502 });
    context.route = {
      name: '/v1/orders/:id',
      door: 'rest',
      path: '/v1/orders/:id',
      maxBodyBytes: 1,
      bufferBytes: 1,
      requirement: open,
    };
    context.errorCode = 'UPSTREAM_UNREACHABLE';
    telemetry.settled(context, 12);
    const [exportedSpan] = await exported();
    expect(exportedSpan).toMatchObject({
      name: 'GET /v1/orders/:id',
      status: { code: error, message: 'UPSTREAM_UNREACHABLE' },
      attributes: {
        'http.request.method': 'GET',
        'http.route': '/v1/orders/:id',
        'http.response.status_code': 502,
        'error.type': 'UPSTREAM_UNREACHABLE',
        'url.path': '/v1/orders/7',
        'url.scheme': 'http',
        'client.address': '192.0.2.7',
      },
      resource: { 'service.name': 'shop-gateway', 'service.version': '1.2.3' },
    });
    expect(JSON.stringify(exportedSpan)).not.toContain('secret');
    expect(receiver.contentTypes).toEqual(new Set(['application/x-protobuf']));
  });

  it("hide no made-up method, but don't count it as one", async () => {
    await start();
    telemetry.startServerSpan({ method: 'BREW', headers: {}, trustedPeer: false, name: 'BREW' }).end();
    const [span] = await exported();
    expect(span?.attributes).toMatchObject({ 'http.request.method': '_OTHER', 'http.request.method_original': 'BREW' });
  });

  it('are not made where the ratio says so', async () => {
    await start({ sampleRatio: 0 });
    const span = telemetry.startServerSpan({ method: 'GET', headers: {}, trustedPeer: false, name: 'GET' });
    expect(span.sampled).toBe(false);
    expect(span.child('call', 'client')).toBe(span);
    telemetry.settled(endedRequest(span), 1);
    expect(await exported()).toEqual([]);
  });

  it('are made for a trusted peer that samples, whatever the ratio', async () => {
    await start({ sampleRatio: 0 });
    const headers = { traceparent: `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01` };
    telemetry.startServerSpan({ method: 'GET', headers, trustedPeer: true, name: 'trusted' }).end();
    telemetry.startServerSpan({ method: 'GET', headers, trustedPeer: false, name: 'untrusted' }).end();
    expect((await exported()).map((span) => span.name)).toEqual(['trusted']);
  });

  it('of two gateways in one process go each to its own receiver', async () => {
    await start();
    const other = await OtlpReceiver.listen();
    const second = createTelemetry(telemetrySchema.parse({ otlp: `${other.url}/`, sampleRatio: 1 }), {
      destination: lines,
    });
    telemetry.startServerSpan({ method: 'GET', headers: {}, trustedPeer: false, name: 'first' }).end();
    second.startServerSpan({ method: 'GET', headers: {}, trustedPeer: false, name: 'second' }).end();
    await second.shutdown();
    await exported();
    expect(receiver.spans.map((span) => span.name)).toEqual(['first']);
    expect(other.spans.map((span) => span.name)).toEqual(['second']);
    await other.close();
  });
});
