/** Routes as data: `{ 'GET /users/{id}': handler }`, the same path templates as in the OpenAPI document. */
import type { IncomingMessage } from 'node:http';
import { Problem } from './problem.ts';
import type { Reply } from './respond.ts';

export type Request = {
  method: string;
  /** The path as it was sent, without the query. */
  path: string;
  params: Readonly<Record<string, string>>;
  query: URLSearchParams;
  raw: IncomingMessage;
};

export type Handler = (request: Request) => Reply | Promise<Reply>;

/** The method `ANY` takes every method; a template that ends in `/*` takes everything below it. */
export type Routes = Readonly<Record<string, Handler>>;

export type Match = {
  /** `GET /users/{id}`: what a counter is kept under. */
  label: string;
  handler: Handler;
  params: Readonly<Record<string, string>>;
};

type Template = { text: string; segments: readonly string[]; methods: Map<string, Handler> };

/** Finds the handler of a method and path; throws 404 where no template fits and 405 where only the method does not. */
export function router(routes: Routes): (method: string, path: string) => Match {
  const templates = new Map<string, Template>();
  for (const [route, handler] of Object.entries(routes)) {
    const [method = '', text = ''] = route.split(' ');
    const template = templates.get(text) ?? { text, segments: text.split('/'), methods: new Map() };
    template.methods.set(method, handler);
    templates.set(text, template);
  }
  const variable = [...templates.values()].filter(({ text }) => /[{*]/.test(text));

  return (method, path) => {
    const exact = templates.get(path);
    if (exact) return matched(exact, method, {});
    const segments = path.split('/');
    for (const template of variable) {
      const params = fit(template, segments);
      if (params) return matched(template, method, params);
    }
    throw new Problem(404, 'Nothing is served at this path.');
  };
}

function matched({ text, methods }: Template, method: string, params: Record<string, string>): Match {
  // HEAD is GET without the body (RFC 9110 §9.3.2); the server leaves the body away.
  const handler = methods.get(method) ?? methods.get('ANY') ?? (method === 'HEAD' ? methods.get('GET') : undefined);
  if (handler) return { label: `${method} ${text}`, handler, params };
  const allowed = [...methods.keys()].flatMap((name) => (name === 'GET' ? ['GET', 'HEAD'] : [name])).join(', ');
  throw new Problem(405, `This path takes ${allowed}.`, { headers: { allow: allowed } });
}

function fit(template: Template, segments: readonly string[]): Record<string, string> | undefined {
  const open = template.segments.at(-1) === '*';
  if (open ? segments.length < template.segments.length : segments.length !== template.segments.length)
    return undefined;
  const params: Record<string, string> = {};
  for (const [index, wanted] of template.segments.entries()) {
    if (wanted === '*') break;
    const given = segments[index]!;
    if (wanted.startsWith('{') && given !== '') params[wanted.slice(1, -1)] = decoded(given);
    else if (wanted !== given) return undefined;
  }
  return params;
}

/** What is not valid percent-encoding names nothing that there is: it is left as it came, and not found. */
function decoded(segment: string): string {
  try {
    return segment.includes('%') ? decodeURIComponent(segment) : segment;
  } catch {
    return segment;
  }
}
