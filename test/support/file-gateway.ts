import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ReloadReport } from '#gateway/control/reload.ts';
import { Gateway } from '#gateway/gateway.ts';
import { openProject, type ProjectOptions } from '#gateway/project.ts';
import { unhurried } from './gateway-program.ts';
import { send, type Answer } from './raw-client.ts';

/** A gateway in this process whose configuration is a file, in a folder of its own. */
export class FileGateway {
  readonly folder: string;
  readonly file: string;
  readonly gateway: Gateway;
  readonly log: readonly Readonly<Record<string, unknown>>[];
  url = '';
  adminUrl = '';

  private constructor(folder: string, gateway: Gateway, log: Record<string, unknown>[]) {
    this.folder = folder;
    this.file = join(folder, 'gateway.yaml');
    this.gateway = gateway;
    this.log = log;
  }

  static async start(
    config: object | string,
    options: Omit<ProjectOptions, 'config' | 'text'> = {},
  ): Promise<FileGateway> {
    const folder = mkdtempSync(join(tmpdir(), 'weir-reload-'));
    const file = join(folder, 'gateway.yaml');
    writeFileSync(file, textOf(config));
    const log: Record<string, unknown>[] = [];
    const write = (line: string) => void log.push(JSON.parse(line) as Record<string, unknown>);
    const gateway = new Gateway(await openProject({ ...options, config: file }), { logDestination: { write } });
    const started = new FileGateway(folder, gateway, log);
    const { address, admin } = await gateway.start();
    started.url = `http://127.0.0.1:${address.port}`;
    started.adminUrl = `http://127.0.0.1:${admin.port}`;
    return started;
  }

  get text(): string {
    return readFileSync(this.file, 'utf8');
  }

  /** Puts another configuration into the file; an object as JSON, which is YAML too. */
  write(config: object | string): void {
    writeFileSync(this.file, textOf(config));
  }

  reload(): Promise<ReloadReport> {
    return this.gateway.control.reload();
  }

  /** Both at once. */
  change(config: object | string): Promise<ReloadReport> {
    this.write(config);
    return this.reload();
  }

  rollback(): Promise<ReloadReport> {
    return this.gateway.control.rollback();
  }

  get(path: string): Promise<Answer> {
    return send(this.url + path);
  }

  async stop(): Promise<void> {
    await this.gateway.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function textOf(config: object | string): string {
  if (typeof config === 'string') return config;
  const { listen, admin, limits, ...rest } = config as Readonly<
    Record<'listen' | 'admin' | 'limits', object | undefined>
  >;
  const usual = { listen: { ...unhurried, ...listen }, admin: { port: 0, ...admin }, limits: { perIp: [], ...limits } };
  return `${JSON.stringify({ ...usual, ...rest }, null, 2)}\n`;
}
