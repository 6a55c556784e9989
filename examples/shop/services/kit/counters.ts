/**
 * What a service was asked, counted. Tests and demos read it to see how many calls a gateway really made, how many at
 * a time, and which it gave up on.
 */

/** `urls` remembers this many requests. */
const REMEMBERED = 200;

export type CountersSnapshot = {
  /** Requests since the start or the last reset, without health checks. */
  total: number;
  /** Requests whose answer has not ended yet; an event feed or a WebSocket is active as long as it is open. */
  active: number;
  /** Requests whose client closed the connection before the answer had ended. Cut off by a fault does not count. */
  aborted: number;
  maxConcurrent: number;
  /** By route as in the OpenAPI document, `GET /users/{id}`. Health checks appear here, and only here. */
  byRoute: Record<string, number>;
  /** The last 200, as sent: `GET /users?ids=1,2`. */
  urls: string[];
};

export type Counters = {
  /** Counts a request in; call what it returns, once, when the answer has ended one way or the other. */
  enter: (label: string, url: string) => (outcome: { aborted: boolean }) => void;
  /**
   * Health checks come on a timer, not on account of anybody's request: counted as requests they would make every
   * expectation about `total`, `active` or `urls` a matter of luck.
   */
  health: (label: string) => void;
  read: () => CountersSnapshot;
  reset: () => void;
};

export function createCounters(): Counters {
  let counts: CountersSnapshot = zero(0);
  const countRoute = (label: string): void => {
    counts.byRoute[label] = (counts.byRoute[label] ?? 0) + 1;
  };
  return {
    enter(label, url) {
      counts.total++;
      counts.active++;
      counts.maxConcurrent = Math.max(counts.maxConcurrent, counts.active);
      countRoute(label);
      counts.urls.push(url);
      if (counts.urls.length > REMEMBERED) counts.urls.shift();
      const entered = counts;
      return ({ aborted }) => {
        counts.active--;
        // A reset in between has begun a new account; how this request ends belongs to the old one.
        if (aborted) entered.aborted++;
      };
    },
    health: countRoute,
    read: () => counts,
    reset() {
      counts = zero(counts.active);
    },
  };
}

/** What is under way stays under way across a reset. */
function zero(active: number): CountersSnapshot {
  return { total: 0, active, aborted: 0, maxConcurrent: active, byRoute: {}, urls: [] };
}
