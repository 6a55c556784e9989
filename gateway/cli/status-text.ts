import type { GatewayStatus, ProcessStatus } from '#gateway/control/gateway-status.ts';
import type { Override } from '#gateway/control/override.ts';
import { percent } from '#gateway/control/problems.ts';
import type { EndpointStatus, FailureStatus, UpstreamStatus } from '#gateway/control/upstream-status.ts';
import { ago, latency, mebibytes, perSecond, share, span, table } from './amounts.ts';

const headings = [
  'UPSTREAM',
  'BREAKER',
  'SINCE',
  'RATE',
  'ERRORS',
  'P50',
  'P95',
  'P99',
  'TIMEOUT',
  'IN FLIGHT',
  'UP',
  'OWNER',
];

/** What is wrong first, then every upstream with the sick ones first, then the gateway itself. */
export function statusText(status: GatewayStatus): string {
  const { problems, upstreams, processes, configuration, overrides } = status;
  const nowMs = Date.parse(status.at);
  const sorted = upstreams.toSorted((a, b) => b.problems.length - a.problems.length);
  const [head = '', ...rows] = table([headings, ...sorted.map((upstream) => row(upstream, nowMs))]);
  const lines = [
    problems.length === 0 ? 'Nothing is wrong.' : 'Something is wrong:',
    ...problems.map((problem) => `  ! ${problem}`),
    '',
    `  ${head}`,
    ...rows.flatMap((text, index) => {
      const upstream = sorted[index]!;
      const sick = upstream.problems.length > 0;
      return [
        `${sick ? '! ' : '  '}${text}`,
        ...(sick ? details(upstream, nowMs, (endpoint) => endpoint.state !== 'up') : []),
      ];
    }),
    '',
    ...processes.map((process) => processText(process, status, nowMs)),
    `Configuration ${configuration.hash} of ${configuration.file}, applied ${ago(configuration.appliedAt, nowMs)}` +
      (configuration.needsRestart.length > 0
        ? `; a restart is needed for ${configuration.needsRestart.join(', ')}`
        : ''),
    ...(overrides.length > 0
      ? ['Overrides', ...overrides.map((override) => `  ${overrideText(override, nowMs)}`)]
      : []),
  ];
  return `${lines.join('\n')}\n`;
}

/** One upstream, with all that is known of it. */
export function upstreamText(upstream: UpstreamStatus, nowMs: number): string {
  const { problems, connections, refusedRatio, calls, attemptTimeoutMs, retries } = upstream;
  const [head, text] = table([headings, row(upstream, nowMs)]);
  const lines = [
    ...problems.map((problem) => `! ${problem}`),
    `  ${head}`,
    `${problems.length > 0 ? '! ' : '  '}${text}`,
    `      last minute ${calls} calls, ${share(refusedRatio, calls)} refused; attempts may take ${latency(attemptTimeoutMs)}; ${retries} retries since the start`,
    `      connections ${connections.used} of ${connections.max} in use, ${connections.waiting} calls wait for one`,
    ...details(upstream, nowMs, () => true),
  ];
  return `${lines.join('\n')}\n`;
}

function row(upstream: UpstreamStatus, nowMs: number): string[] {
  const { name, owner, breaker, calls, rate, errorRatio, latencyMs, timeoutMs, inFlight, maxInFlight, endpoints } =
    upstream;
  const up = endpoints.filter(({ state }) => state === 'up' || state === 'slow-start').length;
  return [
    name,
    breakerText(breaker),
    span(nowMs - Date.parse(breaker.since)),
    perSecond(rate),
    share(errorRatio, calls),
    latency(latencyMs?.p50),
    latency(latencyMs?.p95),
    latency(latencyMs?.p99),
    latency(timeoutMs),
    `${inFlight}/${maxInFlight}`,
    `${up}/${endpoints.length}`,
    owner ?? '–',
  ];
}

function breakerText({ state, forced, restMs, processes }: UpstreamStatus['breaker']): string {
  if (forced) return `held ${forced}`;
  const all = processes.closed + processes.open + processes['half-open'];
  const where = all > 1 && processes[state] < all ? ` in ${processes[state]} of ${all}` : '';
  const next = state === 'open' ? `, probe in ${span(restMs)}` : '';
  return `${state}${where}${next}`;
}

function details(
  { breaker, lastError, endpoints, discovery }: UpstreamStatus,
  nowMs: number,
  shown: (endpoint: EndpointStatus) => boolean,
): string[] {
  const lines: string[] = [];
  if (breaker.until !== undefined) lines.push(`held for ${span(Date.parse(breaker.until) - nowMs)} more`);
  if (lastError) lines.push(`last error ${failureText(lastError, nowMs)}`);
  if (discovery?.lastAnswer !== undefined) lines.push(`${discovery.kind} answered ${ago(discovery.lastAnswer, nowMs)}`);
  lines.push(...table(endpoints.filter(shown).map((endpoint) => endpointRow(endpoint, nowMs))));
  return lines.map((line) => `      ${line}`);
}

function endpointRow(endpoint: EndpointStatus, nowMs: number): string[] {
  const { url, state, since, ejectedUntil, nextCheck, lastError, active } = endpoint;
  const more = [
    `for ${span(nowMs - Date.parse(since))}`,
    `${active} in flight`,
    ...(state === 'slow-start' ? [`at ${percent(endpoint.share)} of its weight`] : []),
    ...(ejectedUntil === undefined ? [] : [`back ${ago(ejectedUntil, nowMs)}`]),
    ...(nextCheck === undefined ? [] : [`next check ${Date.parse(nextCheck) > nowMs ? ago(nextCheck, nowMs) : 'now'}`]),
    ...(lastError ? [`last error ${failureText({ ...lastError, endpoint: undefined }, nowMs)}`] : []),
  ];
  return [url, state, more.join(', ')];
}

function failureText({ code, status, endpoint, at }: FailureStatus, nowMs: number): string {
  const what = status === undefined ? code : `${code} (status ${status})`;
  return `${what} ${ago(at, nowMs)}${endpoint === undefined ? '' : ` at ${endpoint}`}`;
}

function processText(process: ProcessStatus, { version, processes }: GatewayStatus, nowMs: number): string {
  const { pid, phase, startedAt, inFlight, maxInFlight, eventLoopLagMs, memoryBytes, shedding, passed } = process;
  const who = processes.length > 1 ? `Worker ${pid}` : `Gateway ${version}, pid ${pid}`;
  const shed = shedding ? `, refuses load (${percent(passed)} passes)` : '';
  return (
    `${who}: ${phase}, up ${span(nowMs - Date.parse(startedAt))}, ${inFlight}/${maxInFlight} in flight, ` +
    `event loop ${latency(eventLoopLagMs)} late, ${mebibytes(memoryBytes)}${shed}`
  );
}

export function overrideText(override: Override, nowMs: number): string {
  const { id, kind, target, action, scale, by, reason, until } = override;
  const what = scale === undefined ? action : `${action} ${scale}`;
  const left = span(Math.max(0, Date.parse(until) - nowMs));
  return `${id}  ${kind} ${target} ${what}, by ${by}, ${left} left${reason === undefined ? '' : `: ${reason}`}`;
}
