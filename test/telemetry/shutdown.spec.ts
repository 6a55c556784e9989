import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { telemetrySchema } from '#gateway/telemetry/settings.ts';
import { createTelemetry, type Telemetry } from '#gateway/telemetry/telemetry.ts';
import { OtlpReceiver } from './otlp-receiver.ts';
import { endedRequest, Lines } from './request.ts';

const closing: (() => Promise<unknown>)[] = [];
function serve(otlp: string, lines = new Lines()): Telemetry {
  const telemetry = createTelemetry(telemetrySchema.parse({ otlp, sampleRatio: 1 }), { destination: lines });
  for (let i = 0; i < 2000; i++) {
    const span = telemetry.startServerSpan({ method: 'GET', headers: {}, trustedPeer: false, name: 'GET' });
    const context = endedRequest(span);
    telemetry.begun(context);
    telemetry.settled(context, 1);
  }
  return telemetry;
}

async function unusedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

afterEach(async () => {
  await Promise.all(closing.splice(0).map((close) => close()));
});

describe('shutting telemetry down', () => {
  it('delivers what is queued', async () => {
    const receiver = await OtlpReceiver.listen();
    closing.push(() => receiver.close());
    await serve(receiver.url).shutdown();
    expect(receiver.spans).toHaveLength(2000);
    expect(receiver.logs).toHaveLength(2000);
    expect(receiver.metrics.map((metric) => metric.name)).toContain('http.server.request.duration');
  });

  it('may be asked for twice', async () => {
    const receiver = await OtlpReceiver.listen();
    closing.push(() => receiver.close());
    const telemetry = serve(receiver.url);
    await telemetry.shutdown();
    await telemetry.shutdown();
    expect(receiver.spans).toHaveLength(2000);
  });

  // Before those whose exports go on failing after their test: the SDK complains to whichever logger was named last.
  it('is quick when the receiver refuses, of which there is one warning, not one for each batch', async () => {
    const receiver = await OtlpReceiver.listen('fail');
    closing.push(() => receiver.close());
    const lines = new Lines();
    await expect(serve(receiver.url, lines).shutdown()).resolves.toBeUndefined();
    expect(receiver.requests).toBeGreaterThan(4);
    const warnings = lines.all.filter((line) => line.level === 'warn');
    expect(warnings).toMatchObject([
      { msg: 'OpenTelemetry reports a problem', detail: expect.stringContaining('500') as string },
    ]);
  });

  it('takes at most about two seconds when the receiver hangs', async () => {
    const receiver = await OtlpReceiver.listen('hang');
    closing.push(() => receiver.close());
    const startedMs = performance.now();
    await expect(serve(receiver.url).shutdown()).resolves.toBeUndefined();
    expect(performance.now() - startedMs).toBeLessThan(4000);
    expect(receiver.requests).toBeGreaterThan(0);
  });

  it('takes at most about two seconds when nobody listens', async () => {
    const telemetry = serve(`http://127.0.0.1:${await unusedPort()}`);
    const startedMs = performance.now();
    await expect(telemetry.shutdown()).resolves.toBeUndefined();
    expect(performance.now() - startedMs).toBeLessThan(4000);
  });

  it('does not keep the process: it ends by itself, without error, though the receiver hangs', async () => {
    const receiver = await OtlpReceiver.listen('hang');
    closing.push(() => receiver.close());
    const script = `
      import { createTelemetry } from '${new URL('../../gateway/telemetry/telemetry.ts', import.meta.url).href}';
      import { telemetrySchema } from '${new URL('../../gateway/telemetry/settings.ts', import.meta.url).href}';
      const telemetry = createTelemetry(telemetrySchema.parse({ otlp: '${receiver.url}', sampleRatio: 1 }));
      for (let i = 0; i < 5000; i++) telemetry.log.info({ i }, 'line');
      await telemetry.shutdown();
    `;
    const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    const startedMs = performance.now();
    const [code] = (await once(child, 'exit')) as [number | null];
    expect(stderr).toBe('');
    expect(code).toBe(0);
    // Without the gate it would take ten batches at five seconds each.
    expect(performance.now() - startedMs).toBeLessThan(12_000);
  });
});

describe('OTEL_SDK_DISABLED', () => {
  it('turns recording off, and nothing else', async () => {
    const receiver = await OtlpReceiver.listen();
    closing.push(() => receiver.close());
    vi.stubEnv('OTEL_SDK_DISABLED', 'true');
    const lines = new Lines();
    const telemetry = serve(receiver.url, lines);
    vi.unstubAllEnvs();
    const span = telemetry.startServerSpan({ method: 'GET', headers: {}, trustedPeer: false, name: 'GET' });
    expect(span.sampled).toBe(false);
    expect(span.traceId).toMatch(/[1-9a-f]/);
    expect(await telemetry.prometheus()).toBe('');
    await telemetry.shutdown();
    expect(receiver.requests).toBe(0);
    expect(lines.raw).toHaveLength(2000);
  });
});
