/**
 * The fault switch: what a service does wrong, on request, until told otherwise. Which requests are hit is drawn from
 * a generator that starts anew with every PUT, so the same fault over the same requests hits the same ones.
 */
import { random } from './random.ts';
import { flag, integer, number, oneOf, partial, text, validate } from './validate.ts';

/**
 * `hang` never answers; `reset` sends RST instead of an answer; `garbage` answers 200 with JSON that is none. The
 * others spoil the true answer: `half-body` promises all of it and hangs up after half, `half-chunked` does the same
 * without promising a length, `drip` sends a byte every 100 ms.
 */
const kinds = ['hang', 'reset', 'half-body', 'half-chunked', 'garbage', 'drip'] as const;

export type FaultKind = (typeof kinds)[number];

export type Fault = {
  /** Waited before anything else is done. */
  latencyMs?: number;
  /** Share of requests, 0 to 1, that are answered with an error. */
  errorRate?: number;
  /** Default 503. */
  errorStatus?: number;
  /** Seconds; sent as Retry-After with the error. */
  retryAfter?: number;
  kind?: FaultKind;
  /** Share of requests that `kind` applies to. Default 1. */
  rate?: number;
  /** Only requests whose target, query included, begins with this. */
  path?: string;
  /** Only requests of this method. */
  method?: string;
  /** Only the next so many requests that match; then the switch is off. */
  times?: number;
  /** /health fails as well, whatever `path` and `method` say. Otherwise it stays well through every fault. */
  health?: boolean;
};

/** What is to be done to one request. */
export type Verdict = { latencyMs: number; error?: { status: number; retryAfter?: number }; kind?: FaultKind };

export type FaultSwitch = {
  read: () => Fault;
  /** Takes a JSON body; throws a 400 Problem when it is not a fault. */
  set: (body: unknown) => Fault;
  clear: () => void;
  judge: (method: string, target: string, isHealth: boolean) => Verdict | undefined;
};

const faultBody = partial({
  latencyMs: integer(0, 600_000),
  errorRate: number(0, 1),
  errorStatus: integer(400, 599),
  retryAfter: integer(0, 86_400),
  kind: oneOf(kinds),
  rate: number(0, 1),
  path: text({ max: 2_000, pattern: /^\// }),
  method: text({ max: 20 }),
  times: integer(1, 1_000_000),
  health: flag,
});

export function createFaultSwitch(): FaultSwitch {
  let fault: Fault | undefined;
  let next = random(1);

  const matches = (wanted: Fault, method: string, target: string): boolean =>
    target.startsWith(wanted.path ?? '/') && (wanted.method ?? method).toUpperCase() === method;

  return {
    read: () => fault ?? {},
    set(body) {
      fault = validate(faultBody, body);
      next = random(1);
      return fault;
    },
    clear() {
      fault = undefined;
    },
    judge(method, target, isHealth) {
      const now = fault;
      if (!now) return undefined;
      if (isHealth ? now.health !== true : !matches(now, method, target)) return undefined;
      if (now.times !== undefined) fault = now.times > 1 ? { ...now, times: now.times - 1 } : undefined;

      // Both are drawn every time, so that changing one share does not move which requests the other one hits.
      const fails = next() < (now.errorRate ?? 0);
      const spoilt = next() < (now.rate ?? 1);
      const verdict: Verdict = { latencyMs: now.latencyMs ?? 0 };
      if (fails) {
        verdict.error = { status: now.errorStatus ?? 503 };
        if (now.retryAfter !== undefined) verdict.error.retryAfter = now.retryAfter;
      } else if (now.kind && spoilt) {
        verdict.kind = now.kind;
      }
      return verdict;
    },
  };
}
