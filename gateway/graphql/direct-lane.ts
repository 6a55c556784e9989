import type { Clock } from '#core/clock.ts';
import type { RequestContext } from '#core/context.ts';
import { firstValue, type Headers } from '#core/headers.ts';
import { readAccept, type Accept } from './accept.ts';
import { bodyOf, isKnown, keptHeaders, type KeptAnswer } from './answers/kept-answer.ts';
import type { CurrentLimits } from './engine.ts';
import { GraphiqlPage } from './graphiql.ts';
import { HttpExchange } from './http-exchange.ts';
import type { Direct, Operations } from './operations.ts';
import { peek } from './parameters.ts';

/**
 * Answers the plain requests, which nearly all are, past Yoga, which takes three times as long to read and write them: a POST of
 * JSON, or a GET, of an operation that is known to have one result. Whatever comes otherwise is for Yoga's lane, and gets the
 * same answers there.
 */
export class DirectLane {
  readonly #operations: Operations;
  readonly #clock: Clock;
  readonly #graphiql: () => boolean;
  readonly #limits: CurrentLimits;
  /** Clients of one kind spell it alike. */
  #acceptHeader: string | undefined;
  #accept = readAccept(undefined);

  constructor(operations: Operations, clock: Clock, graphiql: () => boolean, limits: CurrentLimits) {
    this.#operations = operations;
    this.#clock = clock;
    this.#graphiql = graphiql;
    this.#limits = limits;
  }

  /** @returns whether it is answered, or will be; false where that is for others to do */
  give(context: RequestContext): boolean | Promise<void> {
    const accept = this.#acceptOf(firstValue(context.headers.accept));
    if (accept.json === undefined || (this.#graphiql() && GraphiqlPage.wanted(context))) return false;
    const parameters = peek(context);
    const given = parameters && this.#operations.direct(context, parameters, accept.incremental !== undefined);
    if (!given) return false;
    if (given instanceof Promise) return given.then((later) => this.#toldFirst(later, context, accept));
    return this.#toldFirst(given, context, accept) ?? true;
  }

  /** Of what was refused before it was charged, and of what costs nothing, the answer says what is left as all others do. */
  #toldFirst(given: Direct, context: RequestContext, accept: Accept): Promise<void> | undefined {
    const telling = this.#limits().tell(context);
    if (telling) return telling.then(() => this.#write(given, context, accept));
    this.#write(given, context, accept);
    return undefined;
  }

  #acceptOf(header: string | undefined): Accept {
    if (header !== this.#acceptHeader) {
      this.#acceptHeader = header;
      this.#accept = readAccept(header);
    }
    return this.#accept;
  }

  #write(given: Direct, context: RequestContext, accept: Accept): void {
    if (!('kind' in given)) return this.#writeKept(given, bodyOf(given), context, accept);
    if (!('result' in given)) throw new Error(`an operation that has one result has ${given.kind}`);
    const { reply } = context;
    const exchange = new HttpExchange(context, accept, undefined);
    exchange.outcome = given;
    const { result } = given;
    const body = Buffer.from(JSON.stringify(result));
    const status = exchange.statusOf(result);
    if (given.kind === 'result' && given.kept && status === 200) {
      return this.#writeKept(given.kept, body, context, accept);
    }
    const headers: Headers = { 'content-type': typeOf(accept), vary: 'Accept', 'cache-control': 'no-store' };
    if (given.kind === 'result' && given.cacheStatus !== undefined) headers['cache-status'] = given.cacheStatus;
    if (result.errors) Object.assign(headers, exchange.headersOf(result));
    headers['content-length'] = String(body.length);
    reply.head(status, headers);
    reply.end(context.method === 'HEAD' ? undefined : body);
  }

  #writeKept(kept: KeptAnswer, body: Buffer, context: RequestContext, accept: Accept): void {
    const { reply } = context;
    const nowMs = this.#clock.epochMs();
    const headers = keptHeaders(kept, context, nowMs);
    if (isKnown(kept, context, nowMs)) {
      reply.head(304, headers);
      reply.end();
      return;
    }
    headers['content-type'] = typeOf(accept);
    headers['content-length'] = String(body.length);
    reply.head(200, headers);
    reply.end(context.method === 'HEAD' ? undefined : body);
  }
}

function typeOf({ json }: Accept): string {
  return `${json}; charset=utf-8`;
}
