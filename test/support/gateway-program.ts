import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Program } from './program.ts';
import { send, type Answer } from './raw-client.ts';

const root = resolve(import.meta.dirname, '../..');

export type LogLine = Readonly<Record<string, unknown>>;

export interface GatewayProgramOptions {
  /** The folder that its file is in; default: a new one, removed when the program has ended. */
  readonly folder?: string;
  /** For Node, before the program. */
  readonly nodeArgs?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** `weir start` as a process of its own, on free ports unless the configuration says otherwise. */
export class GatewayProgram {
  readonly file: string;
  readonly program: Program;
  url = '';
  adminUrl = '';
  readonly #folder: string | undefined;
  readonly #log: LogLine[] = [];
  /** How much of stdout is in the log. */
  #read = 0;

  private constructor(config: object, options: GatewayProgramOptions) {
    const { folder, nodeArgs = [], args = [], env = {} } = options;
    this.#folder = folder === undefined ? mkdtempSync(join(tmpdir(), 'weir-program-')) : undefined;
    this.file = join(folder ?? this.#folder!, 'gateway.yaml');
    this.write(config);
    this.program = new Program(
      [process.execPath, ...nodeArgs, 'gateway/main.ts', 'start', '--config', this.file, ...args],
      { cwd: root, env },
    );
  }

  /** @throws {Error} with what it printed, when it ends before it listens */
  static async start(config: object, options: GatewayProgramOptions = {}): Promise<GatewayProgram> {
    const running = new GatewayProgram(config, options);
    await running.listening();
    return running;
  }

  /** Without waiting until it listens, which it may never do. */
  static begin(config: object, options: GatewayProgramOptions = {}): GatewayProgram {
    return new GatewayProgram(config, options);
  }

  async listening(): Promise<void> {
    const listening = await this.logged(({ msg }) => msg === 'listening');
    this.url = String(listening.address);
    this.adminUrl = String(listening.admin);
  }

  /** Puts another configuration into the file, as JSON, which is YAML too; a text as it is. */
  write(config: object | string): void {
    writeFileSync(this.file, typeof config === 'string' ? config : `${JSON.stringify(withPorts(config), null, 2)}\n`);
  }

  /** All lines so far. */
  get log(): readonly LogLine[] {
    const { stdout } = this.program;
    for (let end = stdout.indexOf('\n', this.#read); end >= 0; end = stdout.indexOf('\n', this.#read)) {
      const line = stdout.slice(this.#read, end);
      this.#read = end + 1;
      if (line.startsWith('{')) this.#log.push(JSON.parse(line) as LogLine);
    }
    return this.#log;
  }

  /** Waits for a line of the log. */
  async logged(is: (line: LogLine) => boolean): Promise<LogLine> {
    let found: LogLine | undefined;
    await this.program.until(() => (found = this.log.find(is)) !== undefined);
    return found!;
  }

  admin(path: string, method = 'GET', body?: object): Promise<Answer> {
    const headers = body && { 'content-type': 'application/json' };
    return send(this.adminUrl + path, { method, ...(body && { body: JSON.stringify(body), headers: { ...headers } }) });
  }

  /** The value of a metric, over all of its series that have these labels, as they stand in the text. */
  async metric(name: string, ...labels: readonly string[]): Promise<number> {
    const { text } = await this.admin('/metrics');
    return text
      .split('\n')
      .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
      .filter((line) => labels.every((label) => line.includes(label)))
      .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
  }

  /** Sends SIGTERM. @returns the exit status, or the signal that ended it */
  async stop(): Promise<number | string> {
    this.program.signal('SIGTERM');
    return this.ended();
  }

  async ended(): Promise<number | string> {
    const status = await this.program.end();
    this.remove();
    return status;
  }

  /** For the end of a test, however it went. */
  kill(): void {
    this.program.signalAll('SIGKILL');
    this.remove();
  }

  private remove(): void {
    if (this.#folder !== undefined) rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** On a busy machine the event loop may be late; requests that are refused for it are not what these tests are about. */
export const unhurried = { port: 0, drainDelay: '0ms', maxEventLoopLag: '30s' };

function withPorts(config: object): object {
  const { listen, admin, limits, ...rest } = config as Readonly<
    Record<'listen' | 'admin' | 'limits', object | undefined>
  >;
  return {
    ...rest,
    limits: { perIp: [], ...limits },
    listen: { ...unhurried, ...listen },
    admin: { port: 0, ...admin },
  };
}
