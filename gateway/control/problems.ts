import { formatDuration } from '#core/duration.ts';
import type { ConfigurationStatus } from './reload.ts';
import type { ProcessStatus } from './gateway-status.ts';
import type { UpstreamStatus } from './upstream-status.ts';

/** Fewer calls in a minute say nothing about a share of them. */
const enoughCalls = 20;
const badErrorRatio = 0.05;
/** Of a bound, what is near it. */
const near = 0.8;

/** What is wrong with an upstream, the worst first. An override is somebody's wish: only that it refuses calls is told. */
export function upstreamProblems(status: Omit<UpstreamStatus, 'problems'>): string[] {
  const { breaker, endpoints, calls, errorRatio, latencyMs, timeoutMs, inFlight, maxInFlight, discovery } = status;
  const problems: string[] = [];
  if (breaker.state === 'open')
    problems.push(breaker.forced ? 'an operator holds its breaker open: all calls are refused' : 'its breaker is open');
  if (breaker.state === 'half-open') problems.push('its breaker is half-open: it lets probes through');
  if (endpoints.length === 0) problems.push('it has no endpoints');
  if (status.panic) problems.push('too few of its endpoints are up, so all are used');
  const out = endpoints.filter(({ state }) => state === 'unhealthy' || state === 'ejected');
  if (out.length > 0)
    problems.push(
      `${out.length} of ${endpoints.length} endpoints ${out.length === 1 ? 'is' : 'are'} out: ${out.map(({ url, state }) => `${url} (${state})`).join(', ')}`,
    );
  if (calls >= enoughCalls && errorRatio >= badErrorRatio) problems.push(`${percent(errorRatio)} of its calls fail`);
  if (calls >= enoughCalls && latencyMs && latencyMs.p99 >= timeoutMs * near)
    problems.push(`its p99 is near its timeout of ${formatDuration(timeoutMs)}`);
  if (inFlight >= maxInFlight * near) problems.push(`${inFlight} of ${maxInFlight} calls are in flight (maxInFlight)`);
  if (discovery?.lastError) problems.push(`its discovery fails: ${discovery.lastError.message}`);
  return problems;
}

/** What is wrong with the gateway itself. */
export function gatewayProblems(processes: readonly ProcessStatus[], configuration: ConfigurationStatus): string[] {
  const problems: string[] = [];
  // Of several, one that leaves or comes is a rolling restart.
  const serves = processes.some(({ phase }) => phase === 'ready');
  for (const {
    pid,
    phase,
    shedding,
    passed,
    eventLoopLagMs,
    maxEventLoopLagMs,
    limits,
    scaledLimits = [],
  } of processes) {
    const who = processes.length === 1 ? '' : `process ${pid}: `;
    if (phase !== 'ready' && !serves) problems.push(`${who}it is ${phase}`);
    if (shedding)
      problems.push(`${who}it refuses requests for load${passed < 1 ? ` (lets ${percent(passed)} through)` : ''}`);
    else if (eventLoopLagMs >= maxEventLoopLagMs)
      problems.push(`${who}its event loop is ${Math.round(eventLoopLagMs)} ms late`);
    if (limits && limits.counted !== 'redis')
      problems.push(`${who}Redis does not answer, so limits are not counted there (onStoreFailure: ${limits.counted})`);
    for (const { limit, scale, why, until } of scaledLimits)
      problems.push(`${who}the limit ${limit} is ${scale} times what is written, until ${until} or longer: ${why}`);
  }
  const { lastAttempt } = configuration;
  if (lastAttempt?.ok === false)
    problems.push(
      `the last reload (${lastAttempt.at}) was refused, ${configuration.hash} goes on: ${lastAttempt.error}`,
    );
  return problems;
}

export function percent(ratio: number): string {
  const value = ratio * 100;
  return `${value > 0 && value < 10 ? value.toFixed(1) : Math.round(value)} %`;
}
