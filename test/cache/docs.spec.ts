import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parseArguments } from '#gateway/cli/arguments.ts';
import { inspect } from '#gateway/assembly.ts';
import { openProject } from '#gateway/project.ts';
import { fencedBlocks } from '../support/markdown.ts';

const blocks = fencedBlocks(readFileSync(new URL('../../docs/caching.md', import.meta.url), 'utf8'));

describe('docs/caching.md', () => {
  test('has configurations that are good', async () => {
    const written = blocks.filter(({ info }) => info === 'yaml');
    expect(written).not.toEqual([]);
    for (const { text } of written)
      expect(inspect(await openProject({ config: `${process.cwd()}/page.yaml`, text })).routes).toBeDefined();
  });

  test('has commands that there are', () => {
    const commands = blocks.filter(({ info }) => info === 'sh').flatMap(({ text }) => text.trim().split('\n'));
    expect(commands).not.toEqual([]);
    for (const command of commands) expect(() => parseArguments(command.split(' ').slice(1))).not.toThrow();
  });
});
