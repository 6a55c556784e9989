import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Criticality } from '#core/criticality.ts';
import type { LoadShedder } from '#policies/overload/load-shedder.ts';
import type { GatewayRoute } from '#gateway/routing/routing.ts';
import type { Telemetry } from '#gateway/telemetry/telemetry.ts';
import type { Arrivals } from './arrival.ts';
import { plainIp } from './client-address.ts';
import type { ClientConnection } from './connection.ts';
import { EarlyRefusal, RefusedRequest } from './early-refusal.ts';
import { keptWaiting } from './expectation.ts';
import { maxPeekBytes, type Pipeline } from './pipeline.ts';
import { atTurnEnd } from './turn.ts';

export interface EntranceOptions {
  readonly load: LoadShedder;
  readonly arrivals: Arrivals;
  readonly telemetry: Pick<Telemetry, 'refused'>;
  readonly connectionOf: (socket: Socket) => ClientConnection;
  /** A connection that nothing is read from for longer ends, with whatever has been asked on it meanwhile. */
  readonly maxHoldOffMs: number;
  /** What serves now. */
  readonly pipeline: () => Pipeline;
}

/** Begins a request: something is made of it. */
export type Begin = (request: IncomingMessage, response: ServerResponse) => void;

/**
 * Where requests come in, before anything is made of them. Each waits for its turn to begin, or while load is shed is told to go
 * for what refusing it further in would cost several times over.
 */
export class Entrance {
  readonly #options: EntranceOptions;
  readonly #refusals = {
    problem: new EarlyRefusal('OVERLOADED', 'problem'),
    graphql: new EarlyRefusal('OVERLOADED', 'graphql'),
  };
  /** The request that was let in last while load was shed. */
  #admitted: IncomingMessage | undefined;
  /** When the request came that begins now, if it had to wait for that, and how many were in flight then. */
  #cameMs: number | undefined;
  #inFlight: number | undefined;

  constructor(options: EntranceOptions) {
    this.#options = options;
  }

  /** It was asked for this request, which begins now, whether there is room for it. */
  admitted(request: IncomingMessage): boolean {
    return this.#admitted === request;
  }

  /** When the request came that begins now, by the monotonic clock. */
  get cameMs(): number {
    return this.#cameMs ?? this.#options.arrivals.clock.monotonicMs();
  }

  /** How many requests were in flight when it came, with itself: those that came after it take nothing from it. */
  get inFlight(): number {
    return this.#inFlight ?? this.#options.load.inFlight + 1;
  }

  take(request: IncomingMessage, response: ServerResponse, begin: Begin): void {
    const { load, pipeline } = this.#options;
    if (!load.shedding) {
      this.#beginInTurn(request, response, begin);
      return;
    }
    const route = pipeline().routeOf(request);
    if (this.#refusesByHead(request, response, route)) return;
    if (this.admitted(request)) this.#beginInTurn(request, response, begin);
    else if (route && saysMoreInContent(request, route)) this.#lookInto(request, response, begin, route);
    // Of what nobody knows yet how much it matters, it is asked later, and waits then.
    else begin(request, response);
  }

  /** The same for one that waits for nothing. @returns whether it is refused */
  refuses(request: IncomingMessage, response: ServerResponse): boolean {
    const { load, pipeline } = this.#options;
    return load.shedding && this.#refusesByHead(request, response, pipeline().routeOf(request));
  }

  /** How long the connection of a client is not listened to that is refused now. */
  holdOffMs({ remoteAddress = '' }: Socket): number {
    const { load, arrivals, maxHoldOffMs } = this.#options;
    const holdOffMs = Math.min(load.holdOffMs, maxHoldOffMs);
    // A load balancer is many clients.
    return holdOffMs === 0 || arrivals.addresses.trusts(plainIp(remoteAddress)) ? 0 : holdOffMs;
  }

  #beginInTurn(request: IncomingMessage, response: ServerResponse, begin: Begin): void {
    this.#options.load.wait(this.#later(request, response, begin));
  }

  #refusesByHead(request: IncomingMessage, response: ServerResponse, route: GatewayRoute | undefined): boolean {
    const { load } = this.#options;
    if (load.full) {
      this.#refuse(request, response, load.overflow(), route);
      return true;
    }
    return route?.criticality !== undefined && this.#isRefused(request, response, route, route.criticality);
  }

  #isRefused(
    request: IncomingMessage,
    response: ServerResponse,
    route: GatewayRoute,
    criticality: Criticality,
  ): boolean {
    const retryAfterS = this.#options.load.ask(criticality);
    if (retryAfterS > 0) this.#refuse(request, response, retryAfterS, route);
    else this.#admitted = request;
    return retryAfterS > 0;
  }

  /** What came in one packet with the head is read by the end of the turn. */
  #lookInto(request: IncomingMessage, response: ServerResponse, begin: Begin, route: GatewayRoute): void {
    const look = () => {
      const content = contentOf(request);
      const criticality = content && this.#options.pipeline().doors.criticalityOf(request.headers, content);
      if (criticality === undefined) begin(request, response);
      else if (!this.#isRefused(request, response, route, criticality)) this.#beginInTurn(request, response, begin);
    };
    atTurnEnd(this.#later(request, response, look));
  }

  /** Lets a request wait for its turn, with nothing made of it yet. @returns what is to be called then */
  #later(request: IncomingMessage, response: ServerResponse, begin: Begin): () => void {
    const { telemetry, arrivals, connectionOf } = this.#options;
    const connection = connectionOf(request.socket);
    const admitted = this.admitted(request);
    const { cameMs, inFlight } = this;
    connection.queue(request, () => {
      if (admitted) this.#admitted = request;
      this.#cameMs = cameMs;
      this.#inFlight = inFlight;
      begin(request, response);
      this.#cameMs = undefined;
      this.#inFlight = undefined;
    });
    return () => {
      if (!request.socket.destroyed) connection.dequeue();
      else telemetry.refused(new RefusedRequest(request, arrivals.addresses, 'CLIENT_CLOSED_REQUEST'));
    };
  }

  /** What still comes of it is thrown away. */
  #refuse(
    request: IncomingMessage,
    response: ServerResponse,
    retryAfterS: number,
    route: GatewayRoute | undefined,
  ): void {
    const { arrivals, telemetry, connectionOf } = this.#options;
    const connection = connectionOf(request.socket);
    // It is under way until it is out: what follows on the connection, another protocol say, waits for that.
    connection.entered({ context: undefined, request, response });
    const ends = connection.endsWith(response);
    const refusal = route?.door === 'graphql' ? this.#refusals.graphql : this.#refusals.problem;
    telemetry.refused(refusal.answer(request, response, retryAfterS, ends, arrivals.addresses));
    if (ends || keptWaiting(response)) connection.ending();
    const holdOffMs = this.holdOffMs(request.socket);
    response.on('close', () => {
      connection.left(request);
      connection.holdOff(holdOffMs);
    });
  }
}

/** Which operation it asks for stands in its content, which is likely to be there soon. */
function saysMoreInContent({ method, headers }: IncomingMessage, { door }: GatewayRoute): boolean {
  return (
    door === 'graphql' &&
    method === 'POST' &&
    headers.expect === undefined &&
    Number(headers['content-length']) <= maxPeekBytes
  );
}

/** The content as far as all of it has come, and without taking it from whoever reads it after. */
function contentOf(request: IncomingMessage): Buffer | undefined {
  if (!request.complete || request.readableLength === 0) return undefined;
  const content = request.read(request.readableLength) as Buffer;
  request.unshift(content);
  return content;
}
