import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { RequestContext } from '#core/context.ts';
import type { Criticality } from '#core/criticality.ts';
import type { Headers } from '#core/headers.ts';
import type { GatewayRoute, GatewayRoutes } from '#gateway/routing/routing.ts';
import type { Stage } from '#gateway/stage.ts';

/** Longer content is read once only, by whoever answers it. */
export const maxPeekBytes = 16 * 1024;

/** Where a request goes once it has passed all stages. */
export interface Doors {
  /** @returns true when the path is a page, which Express's own routes serve */
  dispatch(context: RequestContext, request: IncomingMessage, response: ServerResponse): boolean;
  /** How much what a request for GraphQL asks matters, where that is known already; of content up to `maxPeekBytes`. */
  criticalityOf(headers: Headers, content: Buffer): Criticality | undefined;
  /** `switched` is told once the client has its 101, with what says goodbye to it where it is not just to be closed. */
  upgrade(
    context: RequestContext,
    request: IncomingMessage,
    socket: Socket,
    head: Buffer,
    switched: (leave?: () => void) => void,
  ): void;
}

/**
 * What a request meets: built for one configuration, replaced as a whole by the next. A request stays in the one it came
 * into, to its last byte.
 */
export class Pipeline {
  readonly stages: readonly Stage[];
  readonly doors: Doors;
  readonly #routes: GatewayRoutes;
  #requests = 0;
  #empty: (() => void) | undefined;

  constructor(stages: readonly Stage[], doors: Doors, routes: GatewayRoutes) {
    this.stages = stages;
    this.doors = doors;
    this.#routes = routes;
  }

  /**
   * The route of a request that nothing has been made of yet, as far as its head says it: so that it can be refused for what
   * refusing it at the stage `shed` would cost several times over. Undefined for what has to go the whole way: what has no
   * route, and requests of other origins, whose scripts could not read a refusal without the headers of CORS.
   */
  routeOf({ url = '', method = '', headers }: IncomingMessage): GatewayRoute | undefined {
    if (url.charCodeAt(0) !== 0x2f || headers.origin !== undefined) return undefined;
    const question = url.indexOf('?');
    const path = question < 0 ? url : url.slice(0, question);
    const query = question < 0 ? '' : url.slice(question + 1);
    return this.#routes.find({ path, method, host: (headers.host ?? '').toLowerCase(), query, headers });
  }

  enter(): void {
    this.#requests++;
  }

  leave(): void {
    if (--this.#requests === 0) this.#empty?.();
  }

  /** Nobody comes in any more. Calls `empty` when the last one has left. */
  retire(empty: () => void): void {
    this.#empty = empty;
    if (this.#requests === 0) empty();
  }
}
