import type { DiagLogger } from '@opentelemetry/api';
import type { Clock } from '#core/clock.ts';
import type { Logger } from '#core/log.ts';
import { bounded } from './redaction.ts';

const everyMs = 60_000;
const maxDetail = 500;

/**
 * What the SDK complains of, chiefly a receiver that cannot be reached, as one warning a minute. `log` must not lead back
 * into the SDK.
 */
export function sdkDiagnostics(log: Logger, clock: Clock): DiagLogger {
  let nextMs = Number.NEGATIVE_INFINITY;
  let suppressed = 0;
  const complain = (message: string, ...details: unknown[]) => {
    const nowMs = clock.monotonicMs();
    if (nowMs < nextMs) {
      suppressed++;
      return;
    }
    nextMs = nowMs + everyMs;
    log.warn({ detail: bounded(message, maxDetail), details, suppressed }, 'OpenTelemetry reports a problem');
    suppressed = 0;
  };
  return { error: complain, warn: complain, info() {}, debug() {}, verbose() {} };
}
