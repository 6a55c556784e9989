import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseArguments } from '#gateway/cli/arguments.ts';
import { fencedBlocks, section, type Block } from '../support/markdown.ts';
import { freePort } from '../support/ports.ts';
import { runCommand, startProgram, type RunningProgram } from '../support/program.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';

const root = resolve(import.meta.dirname, '../..');
const page = readFileSync(join(root, 'docs/operations.md'), 'utf8');
/** Those that this specification follows; others have their own. */
const headings = [
  'One look',
  'Changing things at run time',
  'Debug logging',
  'Reload and rollback',
  'Admin API',
] as const;

const folder = mkdtempSync(join(tmpdir(), 'weir-operations-'));
const services: TestUpstream[] = [];
/** What the page says, and what stands in for it here. */
const ports = new Map<string, number>();
let gateway: RunningProgram;
/** By the last block of commands. */
let printed = '';

const here = (text: string) => text.replaceAll(/\b(4000|4001|5002|5012|5020)\b/g, (port) => String(ports.get(port)));

beforeAll(async () => {
  for (const port of ['5002', '5012']) {
    const service = await startUpstream((_request, response) => void response.end('ok'));
    services.push(service);
    ports.set(port, service.port);
  }
  for (const port of ['4000', '4001', '5020']) ports.set(port, await freePort());
  const yaml = fencedBlocks(page).find(({ info }) => info === 'yaml gateway.yaml');
  writeFileSync(join(folder, 'gateway.yaml'), here(yaml!.text));
  gateway = await startProgram([join(root, 'gateway/main.ts'), 'start'], { cwd: folder });
  // The page begins when a few calls have failed already.
  for (let call = 0; call < 3; call++) await fetch(here(`http://127.0.0.1:4000/v1/payments/${call}`));
}, 60_000);

afterAll(async () => {
  await gateway.stop();
  for (const service of services) await service.close();
  rmSync(folder, { recursive: true });
});

async function run(script: string): Promise<number | null> {
  const weir = `weir() { "${process.execPath}" "${join(root, 'gateway/main.ts')}" "$@"; }`;
  const { status, stdout, stderr } = await runCommand(['bash', '-euo', 'pipefail', '-c', `${weir}\n${here(script)}`], {
    cwd: folder,
  });
  printed = stdout + stderr;
  return status;
}

/** What differs from run to run looks the same: ids and hashes, amounts of anything, names of people, how wide a column is. */
function shape(text: string): string[] {
  const amount = /(?:\d+(?:\.\d+)?(?: (?:ms|s|m|h|d|MiB|%))?(?: \d+ [smhd])?|–)/g;
  return text
    .trim()
    .replaceAll(/\b(?=[\da-f]*\d)[\da-f]{8,}\b/g, 'ID')
    .replaceAll(/(?<=by )[^,\n]+/g, 'SOMEBODY')
    .replaceAll(/(?<= of )\S*gateway\.yaml/g, 'gateway.yaml')
    .replaceAll(/(?<=Gateway )\S+,/g, 'VERSION,')
    .replaceAll(/(?<=http:\/\/)[\w.:]+/g, 'ADDRESS')
    .replaceAll(amount, 'N')
    .split('\n')
    .map((line) => line.replaceAll(/ +/g, ' ').trim());
}

async function expectFollowed({ info, text }: Block): Promise<void> {
  if (info === 'sh') expect(await run(text), printed).toBe(0);
  else if (info === 'sh fails') expect(await run(text), printed).toBe(1);
  // More may be said on a machine that is busy, such as that the event loop is late.
  else if (info === 'output') expect(shape(printed)).toEqual(expect.arrayContaining(shape(text)));
  else throw new Error(`nobody can follow a block '${info}'`);
}

// Each command is a process of its own.
describe('docs/operations.md, from top to bottom', { timeout: 60_000 }, () => {
  for (const heading of headings) {
    describe(heading, () => {
      test.each(fencedBlocks(section(page, heading)))('$info at line $line', async (block) => {
        await expectFollowed(block);
      });
    });
  }

  test('calls weir as weir takes it, in every section', () => {
    const calls = fencedBlocks(page)
      .filter(({ info }) => info.startsWith('sh'))
      .flatMap(({ text }) => [...text.matchAll(/^(?:npx )?weir (.*)$/gm)].map(([, call]) => call!));
    expect(calls.length).toBeGreaterThan(10);
    for (const call of calls) {
      const words = [...call.matchAll(/'[^']*'|\S+/g)].map(([word]) => word.replaceAll("'", ''));
      expect(parseArguments(words).command).toBe(words[0]);
    }
  });
});
