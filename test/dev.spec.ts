import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { floors } from '../tools/lint/floors.ts';
import { isListening } from './support/ports.ts';
import { Program } from './support/program.ts';

const root = resolve(import.meta.dirname, '..');
const tree = mkdtempSync(join(tmpdir(), 'weir-dev-'));

// What a developer does to one tree, in this order, in a terminal; a start takes seconds, so there is one for all.
describe('npm run dev', { timeout: 60_000 }, () => {
  let dev: Program;
  /** Where in its output the last step ended. */
  let read = 0;

  beforeAll(() => {
    for (const path of [...Object.keys(floors), 'examples', 'tools', 'docs', 'package.json', 'tsconfig.json']) {
      cpSync(join(root, path), join(tree, path), {
        recursive: true,
        filter: (source) => basename(source) !== 'node_modules',
      });
    }
    for (const path of ['node_modules', 'tools/types/node_modules']) symlinkSync(join(root, path), join(tree, path));
    // `exec`: a shell in between would end with a status of its own when Ctrl-C reaches it too.
    const command = `exec ${process.execPath} tools/dev.ts`;
    const env = { PORT: '0', ADMIN_PORT: '0', SHOP_PORTS: 'free' };
    dev = new Program(['script', '--quiet', '--return', '--command', command, '/dev/null'], { cwd: tree, env });
  });

  afterAll(() => {
    dev.signalAll('SIGKILL');
    rmSync(tree, { recursive: true });
  });

  /** Waits until it has printed this after what it had printed when the last step ended. */
  async function prints(...texts: readonly string[]): Promise<string> {
    const news = () => stripVTControlCharacters(dev.stdout.slice(read));
    await dev.until(() => texts.every((text) => news().includes(text)));
    return news();
  }

  function step(): void {
    read = dev.stdout.length;
  }

  function edit(path: string, from: string, to: string): void {
    const text = readFileSync(join(tree, path), 'utf8');
    expect(text).toContain(from);
    step();
    writeFileSync(join(tree, path), text.replace(from, to));
  }

  async function field(name: string): Promise<unknown> {
    const [url] = /http:\/\/127\.0\.0\.1:\d+\/graphql/.exec(await prints('Lines to try')) ?? [];
    const answer = await fetch(`${url}?query=${encodeURIComponent(`{ user(id: "1") { ${name} } }`)}`);
    return ((await answer.json()) as { readonly data?: { readonly user: Record<string, unknown> } }).data?.user[name];
  }

  const module = 'resolvers/users/module.ts';
  const sdl = 'resolvers/users/users.graphql';

  test('starts the shop, and the compiler beside it', async () => {
    await prints('Lines to try', 'Found 0 errors. Watching for file changes.');
    expect(await field('nick')).toBeUndefined();
  });

  test('makes types anew when SDL changes, and restarts with it', async () => {
    edit(sdl, '  name: String!', '  name: String!\n  nick: String');
    await prints('resolvers/generated/schema.ts written', 'schema/schema.graphql written');
    expect(await field('nick')).toBeNull();
  });

  test('makes types anew when an OpenAPI document changes', async () => {
    edit(
      'examples/shop/services/users/openapi.yaml',
      'paths:',
      'paths:\n  /nicks: { get: { responses: { "200": { description: Nicks. } } } }',
    );
    await prints('resolvers/users/generated/users.ts written', 'Lines to try');
    expect(readFileSync(join(tree, 'resolvers/users/generated/users.ts'), 'utf8')).toContain('"/nicks"');
  });

  test('prints type errors, and runs all the same', async () => {
    edit(module, 'export const users', "export const nick: number = 'Nick';\nexport const users");
    const news = await prints('Lines to try', 'Found 1 error. Watching for file changes.');
    expect(news).toContain("error TS2322: Type 'string' is not assignable to type 'number'.");
    edit(module, "export const nick: number = 'Nick';\n", '');
    await prints('Lines to try', 'Found 0 errors. Watching for file changes.');
  });

  test('leaves the gateway that runs alone while SDL is wrong', async () => {
    edit(sdl, '  nick: String', '  nick: Strin');
    expect(await prints('Unknown type "Strin"')).not.toContain('stopping');
    edit(sdl, '  nick: Strin', '  nick: String');
    await prints('stopping', 'Lines to try');
  });

  test('says so when the gateway has ended, and starts it when that is mended', async () => {
    edit('examples/shop/gateway.yaml', 'cors:', 'corse:');
    expect(await prints('It starts again when a file changes.')).toContain('did you mean cors?');
    edit('examples/shop/gateway.yaml', 'corse:', 'cors:');
    await prints('Lines to try');
  });

  test('ends with all that it started on Ctrl-C', async () => {
    const ports = [...dev.stdout.slice(read).matchAll(/127\.0\.0\.1:(\d+)/g)].map(([, port]) => Number(port));
    expect(new Set(ports).size).toBe(6);
    dev.type('\x03');
    expect(await dev.end()).toBe(0);
    for (const port of ports) expect(await isListening(port)).toBe(false);
  });
});
