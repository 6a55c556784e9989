import { request } from 'undici';
import { childOf } from '#gateway/config/node.ts';
import { readConfigFile } from '#gateway/config/load.ts';
import { ConfigError } from '#gateway/config/problem.ts';
import { adminSchema } from '#gateway/http/settings.ts';
import { ProblemsError } from '#gateway/problems.ts';
import type { Arguments } from './arguments.ts';

/** Longer than a reload takes, shorter than a person waits. */
const timeoutMs = 30_000;

/** Calls `/admin` of the running gateway, where the configuration says that it listens. */
export class AdminClient {
  readonly #origin: string;
  readonly #token: string;

  constructor(args: Pick<Arguments, 'config'>) {
    const { host, port, token } = adminOf(args);
    this.#origin = `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
    this.#token = token;
  }

  /**
   * @returns the status and the JSON of the answer
   * @throws {ProblemsError} when no gateway answers there, or not as one does
   */
  async call(
    method: 'GET' | 'POST' | 'DELETE',
    path: string,
    body?: object,
  ): Promise<{ status: number; answer: unknown }> {
    try {
      const response = await request(`${this.#origin}${path}`, {
        method,
        headers: {
          ...(this.#token !== '' && { authorization: `Bearer ${this.#token}` }),
          ...(body && { 'content-type': 'application/json' }),
        },
        body: body === undefined ? null : JSON.stringify(body),
        headersTimeout: timeoutMs,
        bodyTimeout: timeoutMs,
      });
      if (response.statusCode === 401) throw new ProblemsError([this.#refused()]);
      return { status: response.statusCode, answer: await response.body.json() };
    } catch (error) {
      if (error instanceof ProblemsError) throw error;
      const { code, message } = error as NodeJS.ErrnoException;
      const why = code === 'ECONNREFUSED' ? 'nothing listens there' : message;
      throw new ProblemsError([
        `The gateway does not answer at ${this.#origin} (admin.host and admin.port): ${why}. Fix: start it, or name its configuration with --config FILE.`,
      ]);
    }
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
