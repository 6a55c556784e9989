import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fencedBlocks, type Block } from './support/markdown.ts';
import { freePort, isListening } from './support/ports.ts';
import { Program, runCommand } from './support/program.ts';
import { installWeir } from './support/tarball.ts';

const page = readFileSync(resolve(import.meta.dirname, '../docs/add-a-service.md'), 'utf8');
const scratch = mkdtempSync(join(tmpdir(), 'weir-docs-'));
const project = join(scratch, 'wishlists');
/** What the page says, and what stands in for it here, where somebody else may use those. */
const ports = new Map<string, number>();
const background = new Map<string, Program>();
/** npx runs what is installed, and asks no registry. */
const env = { npm_config_offline: 'true', npm_config_update_notifier: 'false' };
/** By the last command. */
let printed = '';
/** By the page, since something was started. */
let told = '';

beforeAll(async () => {
  mkdirSync(project);
  for (const port of ['7001', '4000', '4001']) ports.set(port, await freePort());
  // So that the step that installs has a tarball: packing takes long on a busy machine, and another spec may be at it.
  installWeir(join(scratch, 'packed'));
}, 300_000);

afterAll(() => {
  for (const program of background.values()) program.signalAll('SIGKILL');
  rmSync(scratch, { recursive: true, force: true });
});

function here(text: string): string {
  return text.replaceAll(/\b(7001|4000|4001)\b/g, (port) => String(ports.get(port)));
}

function write(file: string, text: string): void {
  const listeners = `listen: { port: ${ports.get('4000')}, drainDelay: 0ms }\nadmin: { port: ${ports.get('4001')} }\n`;
  mkdirSync(dirname(join(project, file)), { recursive: true });
  writeFileSync(join(project, file), here(file === 'gateway.yaml' ? listeners + text : text));
}

function bash(script: string): [string, ...string[]] {
  return ['bash', '-euo', 'pipefail', '-c', here(script)];
}

async function run(script: string): Promise<number | null> {
  // The package stands in for the registry, which has none of this tree.
  const install = /^npm install weir$/m;
  if (install.test(script)) installWeir(project);
  const { status, stdout, stderr } = await runCommand(bash(script.replace(install, '')), { cwd: project, env });
  printed = stdout + stderr;
  return status;
}

async function stop(command: string): Promise<void> {
  background.get(command)?.signalAll('SIGINT');
  await background.get(command)?.end();
  background.delete(command);
}

/** Starts it, and waits until one more of the ports answers. */
async function runInBackground(command: string): Promise<void> {
  const listening = async () => (await Promise.all([...ports.values()].map(isListening))).filter(Boolean).length;
  const before = await listening();
  const program = new Program(bash(command), { cwd: project, env });
  background.set(command, program);
  await program.until(async () => (await listening()) > before);
}

async function expectFollowed({ info, text, prose }: Block): Promise<void> {
  const [language, what = ''] = info.split(' ');
  told += prose;
  if (info === 'sh') expect(await run(text), printed).toBe(0);
  else if (info === 'sh fails') expect(await run(text), printed).toBe(1);
  else if (info === 'output') for (const line of text.trim().split('\n')) expect(printed).toContain(here(line));
  else if (info === 'sh background') {
    // One that still runs has to be stopped by the reader too.
    if (background.has(text)) expect(told).toContain('Stop the gateway');
    told = '';
    await stop(text);
    await runInBackground(text);
  } else if (['js', 'json', 'ts', 'yaml', 'graphql'].includes(language!) && what !== '') write(what, text);
  else throw new Error(`nobody can follow a block '${info}'`);
}

// Each command is a process of its own, and some of them run the compiler.
describe('docs/add-a-service.md, step by step', { timeout: 60_000 }, () => {
  let broken = false;

  test.for(fencedBlocks(page))('line $line: $info', async (block, { skip }) => {
    skip(broken, 'a step before it failed');
    broken = true;
    await expectFollowed(block);
    broken = false;
  });

  test('the query for three users was one call', async () => {
    const [gateway] = [...background.values()].slice(-1);
    await gateway!.until(({ stdout }) => stdout.includes('"path":"/graphql"'));
    expect(gateway!.stdout).toContain('"calls":1,"upstreams":{"wishlists":1}');
  });
});
