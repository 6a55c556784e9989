import { z } from 'zod';

const receiver = z.string().refine((text) => text === '' || isBaseUrl(text), {
  error:
    "write the receiver's base URL, such as http://127.0.0.1:4318, without user, query or fragment (credentials belong " +
    'in OTEL_EXPORTER_OTLP_HEADERS), or leave it empty to export nothing',
});

function isBaseUrl(text: string): boolean {
  const url = URL.parse(text);
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:') return false;
  return !url.username && !url.password && !url.search && !url.hash;
}

/** The `telemetry` key. Each default is that of DESIGN.md's contract. */
export const telemetrySchema = z.strictObject({
  serviceName: z
    .string()
    .min(1, 'write a name')
    .max(255)
    .default('weir')
    .describe('`service.name` of every trace, metric and log record.'),
  otlp: receiver
    .default('')
    .describe('Base URL of an OTLP/HTTP receiver for traces, metrics and logs; empty exports nothing.'),
  sampleRatio: z
    .number()
    .min(0, 'write a number from 0 to 1')
    .max(1, 'write a number from 0 to 1')
    .default(0.01)
    .describe('Share of the traces that are recorded, chosen by trace id; a trusted peer has chosen already.'),
  propagation: z
    .array(z.enum(['tracecontext', 'b3', 'b3-single']))
    .default(['tracecontext', 'b3'])
    .describe(
      'Trace headers that are read, the W3C ones first, and sent on: `tracecontext`, `b3` (the `X-B3-*` headers), `b3-single` (the `b3` header). Either of the latter two reads both.',
    ),
  log: z
    .enum(['debug', 'info', 'warn', 'error', 'silent'])
    .default('info')
    .describe('The least level that is logged; access lines are `info`.'),
  audit: z
    .string()
    .default('')
    .describe(
      'File that the audit log is added to: denials, the life of API keys, what operators do. Empty: its lines go to stdout, with `"log":"audit"`, whatever `log` says.',
    ),
});

/** As the program reads it. */
export type TelemetrySettings = z.output<typeof telemetrySchema>;
