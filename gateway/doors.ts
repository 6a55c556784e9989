import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { RequestContext } from '#core/context.ts';
import type { DebugLog } from '#core/debug.ts';
import { toWeirError, WeirError } from '#core/errors.ts';
import type { Logger } from '#core/log.ts';
import type { Limits } from '#policies/limits/limits.ts';
import type { GraphqlDoor } from './graphql/door.ts';
import { checkHandshake } from './graphql/handshake.ts';
import { replyWithError } from './http/error-reply.ts';
import type { Doors } from './http/pipeline.ts';
import { ComposedRoute } from './rest/composed-route.ts';
import { answerLimits } from './rest/limits-answer.ts';
import { passThrough, passUpgrade } from './rest/door.ts';
import { RestRoute } from './rest/route.ts';
import { debugRequest } from './telemetry/debug-log.ts';

/** Leads a request that has passed all stages to where its route says. */
export function createDoors(
  graphql: GraphqlDoor | undefined,
  limits: Pick<Limits, 'look'>,
  { debug, log }: { readonly debug: DebugLog; readonly log: Logger },
): Doors {
  return {
    dispatch(context: RequestContext, request: IncomingMessage, response: ServerResponse): boolean {
      const { route } = context;
      if (debug.on) debugRequest(debug, context);
      if (route instanceof RestRoute) passThrough(context, route, request, response);
      else if (route instanceof ComposedRoute) answerComposed(context, route, graphql, log);
      else if (route?.door === 'graphql') graphql?.handle(context);
      else if (route?.door === 'limits') answerLimits(context, limits);
      else return true;
      return false;
    },

    criticalityOf: (headers, content) => graphql?.criticalityOf(headers, content),

    upgrade(
      context: RequestContext,
      request: IncomingMessage,
      socket: Socket,
      head: Buffer,
      switched: (leave?: () => void) => void,
    ): void {
      const { route } = context;
      if (debug.on) debugRequest(debug, context);
      if (route instanceof RestRoute) {
        passUpgrade(context, route, request, socket, head, switched);
      } else if (route?.door === 'graphql' && graphql) {
        checkHandshake(context);
        // GraphQL says goodbye to its WebSockets itself.
        switched(() => {});
        graphql.upgrade(context, request, socket, head);
      } else {
        throw new WeirError('UPGRADE_REFUSED', { headers: { upgrade: 'websocket' } });
      }
    },
  };
}

function answerComposed(
  context: RequestContext,
  route: ComposedRoute,
  graphql: GraphqlDoor | undefined,
  log: Logger,
): void {
  route.answer(context, graphql?.run).catch((thrown: unknown) => {
    const error = toWeirError(thrown);
    if (error.code === 'INTERNAL')
      log.error({ requestId: context.id, route: route.name, err: error.cause }, 'request failed');
    replyWithError(context, error);
  });
}
