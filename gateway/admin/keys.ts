import type { Express, Request, Response } from 'express';
import type { z } from 'zod';
import { WeirError } from '#core/errors.ts';
import type { Logger } from '#core/log.ts';
import { StoreUnavailable } from '#core/shared-store.ts';
import {
  issueSchema,
  rotateSchema,
  type KeyAdministration,
  type KeyStatus,
} from '#policies/auth/api-keys/administration.ts';
import { fromOf } from './operator-requests.ts';
import { sendProblem } from './problem.ts';
import { serve } from './serve.ts';

/** `/admin/keys`: the life of API keys. A key is in the answer that issued it, and nowhere else. */
export function serveKeys(app: Express, keys: KeyAdministration | undefined, audit: Logger): void {
  const withKeys = async (response: Response, act: (keys: KeyAdministration) => Promise<void>): Promise<void> => {
    if (!keys) {
      sendProblem(response, {
        status: 409,
        title: 'Keys cannot be issued here',
        detail:
          'They are kept in Redis: write redis.url. Without it, write the hash that `weir keys new` prints under consumers.',
      });
      return;
    }
    try {
      await act(keys);
    } catch (error) {
      if (error instanceof WeirError)
        sendProblem(response, { status: 404, title: 'There is no such key', detail: error.message });
      else if (error instanceof StoreUnavailable)
        sendProblem(response, { status: 503, title: 'Redis does not answer', detail: error.message });
      else throw error;
    }
  };
  const tell = (request: Request, happened: string, { id, consumer, prefix }: KeyStatus, more: object) =>
    audit.warn({ happened, id, consumer, prefix, ...more, from: fromOf(request) }, 'operator');

  serve(app, '/admin/keys', {
    GET: ({ query }, response) =>
      withKeys(response, async (all) => {
        const { consumer } = query;
        response.json(await all.list(typeof consumer === 'string' ? consumer : undefined));
      }),
    POST: (request, response) =>
      withKeys(response, async (all) => {
        const wanted = parsed(issueSchema, request.body, response);
        if (!wanted) return;
        const issued = await all.issue(wanted);
        tell(request, 'key issued', issued, { by: wanted.by });
        response.status(201).json(issued);
      }),
  });
  serve(app, '/admin/keys/:id', {
    GET: ({ params }, response) =>
      withKeys(response, async (all) => void response.json(await all.usage(String(params.id)))),
    DELETE: (request, response) =>
      withKeys(response, async (all) => {
        const revoked = await all.revoke(String(request.params.id));
        tell(request, 'key revoked', revoked, { by: operatorName(request) });
        response.json(revoked);
      }),
  });
  serve(app, '/admin/keys/:id/rotate', {
    POST: (request, response) =>
      withKeys(response, async (all) => {
        const wanted = parsed(rotateSchema, request.body, response);
        if (!wanted) return;
        const rotated = String(request.params.id);
        const issued = await all.rotate(rotated, wanted);
        tell(request, 'key rotated', issued, { replaces: rotated, by: wanted.by });
        response.status(201).json(issued);
      }),
  });
}

/** What the query says, which a client may have given twice or not at all. */
function operatorName({ query }: Request): string | undefined {
  return typeof query.by === 'string' ? query.by.slice(0, 128) : undefined;
}

function parsed<T>(schema: z.ZodType<T>, body: unknown, response: Response): T | undefined {
  const result = schema.safeParse(body ?? {});
  if (result.success) return result.data;
  const detail = `${result.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('. ')}.`;
  sendProblem(response, { status: 400, title: 'The request cannot be understood', detail });
  return undefined;
}
