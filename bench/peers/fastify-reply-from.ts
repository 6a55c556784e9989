// fastify with @fastify/reply-from, no logger.
import { createRequire } from 'node:module';

/** What is used here: the types are with the packages, which the type check of the project does without. */
interface App {
  register: (plugin: unknown, options: { base: string }) => void;
  removeAllContentTypeParsers: () => void;
  addContentTypeParser: (type: string, parse: (request: unknown, body: unknown, done: Done) => void) => void;
  all: (
    path: string,
    handler: (request: { url: string }, reply: { from: (url: string) => unknown }) => unknown,
  ) => void;
  listen: (address: { host: string; port: number }) => Promise<unknown>;
}
type Done = (error: null, body: unknown) => void;

const { PORT, UPSTREAM } = process.env;
const require = createRequire(import.meta.url);
const fastify = require('fastify') as () => App;

const app = fastify();
app.register(require('@fastify/reply-from'), { base: UPSTREAM! });
// A body passes as it comes, as in @fastify/http-proxy; fastify would parse JSON and reply-from write it again.
app.removeAllContentTypeParsers();
app.addContentTypeParser('*', (_request, body, done) => done(null, body));
app.all('/*', (request, reply) => reply.from(request.url));
await app.listen({ host: '127.0.0.1', port: Number(PORT) });
