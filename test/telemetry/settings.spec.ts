import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { telemetrySchema } from '#gateway/telemetry/settings.ts';

describe('the telemetry settings', () => {
  it('have the defaults of the contract', () => {
    expect(telemetrySchema.parse({})).toEqual({
      serviceName: 'weir',
      otlp: '',
      sampleRatio: 0.01,
      propagation: ['tracecontext', 'b3'],
      log: 'info',
      audit: '',
    });
  });

  it('describe every key', () => {
    for (const [key, field] of Object.entries(telemetrySchema.shape)) {
      expect(z.globalRegistry.get(field)?.description, key).toMatch(/\.$/);
    }
  });

  it.each(['http://127.0.0.1:4318', 'https://otlp.example.com/collect/', ''])('take %j as a receiver', (otlp) => {
    expect(telemetrySchema.parse({ otlp }).otlp).toBe(otlp);
  });

  it.each(['127.0.0.1:4318', 'grpc://collector:4317', 'http://user:pass@collector:4318', 'http://collector/?key=1'])(
    'refuse %j as a receiver and say what to write',
    (otlp) => {
      const { error } = telemetrySchema.safeParse({ otlp });
      expect(error?.issues[0]?.path).toEqual(['otlp']);
      expect(error?.issues[0]?.message).toContain("write the receiver's base URL");
    },
  );

  it.each([-0.1, 1.1, '0.5'])('refuse %j as a ratio', (sampleRatio) => {
    expect(telemetrySchema.safeParse({ sampleRatio }).success).toBe(false);
  });

  it('refuse unknown keys, formats and levels', () => {
    expect(telemetrySchema.safeParse({ sampling: 1 }).success).toBe(false);
    expect(telemetrySchema.safeParse({ propagation: ['jaeger'] }).success).toBe(false);
    expect(telemetrySchema.safeParse({ log: 'verbose' }).success).toBe(false);
  });
});
