import { request, type IncomingMessage } from 'node:http';
import { childOf } from '#gateway/config/node.ts';
import { readConfigFile } from '#gateway/config/load.ts';
import { ConfigError } from '#gateway/config/problem.ts';
import { adminSchema } from '#gateway/http/settings.ts';
import { ProblemsError } from '#gateway/problems.ts';
import type { Arguments } from './arguments.ts';

/** Longer than a reload takes, shorter than a person waits. */
const timeoutMs = 30_000;

/** What the gateway says to a call: a report of what it was asked for, or what was wrong with the call (RFC 9457). */
export interface AdminAnswer {
  readonly status: number;
  readonly answer: unknown;
}

/** Calls `/admin` of the running gateway, where the configuration says that it listens. */
export class AdminClient {
  readonly #host: string;
  readonly #port: number;
  readonly #origin: string;
  readonly #token: string;

  constructor(args: Pick<Arguments, 'config'>) {
    const { host, port, token } = adminOf(args);
    // Where it listens at all addresses, this machine's own is the one to ask.
    this.#host = { '0.0.0.0': '127.0.0.1', '::': '::1' }[host] ?? host;
    this.#port = port;
    this.#origin = `http://${this.#host.includes(':') ? `[${this.#host}]` : this.#host}:${port}`;
    this.#token = token;
  }

  /** @throws {ProblemsError} when no gateway answers there, or not as one does */
  async call(method: 'GET' | 'POST' | 'DELETE', path: string, body?: object): Promise<AdminAnswer> {
    const { status, type, text } = await this.#ask(method, path, body);
    if (status === 401) throw new ProblemsError([this.#refused()]);
    try {
      if (!/json/.test(type)) throw new SyntaxError(type);
      return { status, answer: JSON.parse(text) as unknown };
    } catch {
      throw new ProblemsError([
        `What answers at ${this.#origin} (admin.host and admin.port) is no gateway of this version: ${method} ${path} was ` +
          `answered with status ${status} and ${type === '' ? 'no content type' : type}. Fix: name its configuration with --config FILE.`,
      ]);
    }
  }

  async #ask(method: string, path: string, body: object | undefined) {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const sent = body === undefined ? undefined : JSON.stringify(body);
    const asking = request(
      {
        host: this.#host,
        port: this.#port,
        method,
        path,
        agent: false,
        signal: AbortSignal.timeout(timeoutMs),
        headers: {
          ...(this.#token !== '' && { authorization: `Bearer ${this.#token}` }),
          ...(sent !== undefined && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(sent) }),
        },
      },
      resolve,
    );
    asking.once('error', reject);
    asking.end(sent);
    try {
      const response = await promise;
      const chunks: Buffer[] = [];
      for await (const chunk of response) chunks.push(chunk as Buffer);
      const { statusCode: status = 0, headers } = response;
      return { status, type: headers['content-type'] ?? '', text: Buffer.concat(chunks).toString() };
    } catch (error) {
      throw new ProblemsError([this.#silent(error as NodeJS.ErrnoException)]);
    }
  }

  #silent({ code, name, message }: NodeJS.ErrnoException): string {
    const why =
      code === 'ECONNREFUSED'
        ? 'nothing listens there'
        : name === 'AbortError' || name === 'TimeoutError'
          ? `there was no answer within ${timeoutMs / 1000} s`
          : message;
    return `The gateway does not answer at ${this.#origin} (admin.host and admin.port): ${why}. Fix: start it, or name its configuration with --config FILE.`;
  }

  #refused(): string {
    return `The gateway at ${this.#origin} refuses the admin token. Fix: set the variable that admin.token names to the token of the running gateway.`;
  }
}

/** Where operators are served. A file that is wrong elsewhere must not keep them from saying so to the gateway. */
function adminOf({ config }: Pick<Arguments, 'config'>): { host: string; port: number; token: string } {
  try {
    const admin = childOf(readConfigFile({ file: config }).root, 'admin');
    const value = (key: string) => admin && childOf(admin, key)?.content;
    const parsed = adminSchema.safeParse({
      ...(value('host') !== undefined && { host: value('host') }),
      ...(value('port') !== undefined && { port: value('port') }),
      ...(value('token') !== undefined && { token: value('token') }),
    });
    if (parsed.success) return parsed.data;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
  }
  return adminSchema.parse({});
}
