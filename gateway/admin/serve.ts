import type { Express, RequestHandler } from 'express';
import { sendProblem } from './problem.ts';

type Method = 'GET' | 'POST' | 'DELETE';

/** One path with its methods; any other is refused with those it has (RFC 9110 §15.5.6). */
export function serve(app: Express, path: string, handlers: Partial<Record<Method, RequestHandler>>): void {
  const route = app.route(path);
  if (handlers.GET) route.get(handlers.GET);
  if (handlers.POST) route.post(handlers.POST);
  if (handlers.DELETE) route.delete(handlers.DELETE);
  const allow = Object.keys(handlers).flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method]));
  route.all((_request, response) =>
    sendProblem(response.set('allow', allow.join(', ')), {
      status: 405,
      title: 'The path does not take this method',
      detail: `It takes ${allow.join(', ')}.`,
    }),
  );
}
