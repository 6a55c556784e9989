import { systemClock, type Clock } from '#core/clock.ts';
import type { RequestContext } from '#core/context.ts';
import { WeirError } from '#core/errors.ts';
import type { Policy } from '#core/policy.ts';
import type { Retirement } from '#core/route.ts';
import type { RetirementSettings } from './settings.ts';

/** What is told of a route on its way out, made once, and what is done to its requests at which time. */
export class RouteRetirement implements Retirement {
  readonly deprecation: string;
  readonly sunset: string | undefined;
  readonly link: string | undefined;
  readonly #settings: RetirementSettings;

  constructor(settings: RetirementSettings) {
    const { since, sunset, successor, link } = settings;
    this.#settings = settings;
    // RFC 9745 §2.1: a Date of structured fields.
    this.deprecation = `@${Math.floor(since / 1_000)}`;
    // RFC 8594 §3: an HTTP-date.
    this.sunset = sunset === undefined ? undefined : new Date(sunset).toUTCString();
    const links = [
      ...(successor === undefined ? [] : [`<${successor}>; rel="successor-version"`]),
      ...(link === undefined ? [] : [`<${link}>; rel="deprecation"; type="text/html"`]),
      ...(link === undefined || sunset === undefined ? [] : [`<${link}>; rel="sunset"; type="text/html"`]),
    ];
    this.link = links.length > 0 ? links.join(', ') : undefined;
  }

  refusalAt(nowMs: number): WeirError | undefined {
    const { sunset, successor, brownouts } = this.#settings;
    const instead = successor === undefined ? '' : ` Use ${successor}.`;
    const extensions = {
      ...(successor !== undefined && { successor }),
      ...(sunset !== undefined && { sunset: new Date(sunset).toISOString() }),
    };
    if (sunset !== undefined && nowMs >= sunset)
      return new WeirError('GONE', { detail: `It is gone since ${dayOf(sunset)}.${instead}`, extensions });
    for (const { from, for: lengthMs, every, status } of brownouts) {
      if (nowMs < from) continue;
      const began = every === undefined ? from : from + Math.floor((nowMs - from) / every) * every;
      const ends = began + lengthMs;
      if (nowMs >= ends) continue;
      const last = sunset === undefined ? '' : ` On ${dayOf(sunset)} it goes for good.`;
      return new WeirError(status === 410 ? 'GONE' : 'BROWNOUT', {
        detail: `It is deprecated, and off until ${new Date(ends).toISOString()}, so that it is noticed.${last}${instead}`,
        retryAfterS: Math.ceil((ends - nowMs) / 1_000),
        extensions,
      });
    }
    return undefined;
  }
}

function dayOf(epochMs: number): string {
  return new Date(epochMs).toISOString().slice(0, 10);
}

/**
 * Says in every answer of a deprecated route that it is, writes down who called, and refuses what is gone.
 * @param used is told of each request for a route whose use is written down
 */
export function retire(used: (what: string, consumer: string) => void, clock: Clock = systemClock): Policy {
  return ({ route, identity, reply: { headers } }: RequestContext) => {
    if (route?.usedAs === undefined) return;
    used(route.usedAs, identity.consumer);
    const { retirement } = route;
    if (!retirement) return;
    headers.deprecation = retirement.deprecation;
    if (retirement.sunset !== undefined) headers.sunset = retirement.sunset;
    if (retirement.link !== undefined) headers.link = retirement.link;
    const refusal = retirement.refusalAt(clock.epochMs());
    if (refusal) throw refusal;
  };
}
