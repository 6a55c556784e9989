import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parse } from 'graphql';
import { describe, expect, test } from 'vitest';
import { parseArguments } from '#gateway/cli/arguments.ts';
import { run } from '#gateway/cli/run.ts';
import { load } from '../config/problems.ts';
import { fencedBlocks } from '../support/markdown.ts';
import { costOf, schemaFrom } from './pricing.ts';

const root = resolve(import.meta.dirname, '../..');
const blocks = fencedBlocks(readFileSync(resolve(root, 'docs/cost.md'), 'utf8'));

function of(language: string): string[] {
  const found = blocks.filter(({ info }) => info === language).map(({ text }) => text);
  if (found.length === 0) throw new Error(`the page has no block of ${language}`);
  return found;
}

const commands = of('sh').flatMap((text) => text.split('\n').filter((line) => line.startsWith('weir ')));

describe('docs/cost.md', () => {
  test.each(of('yaml'))('has configurations that are taken: %s', (yaml) => {
    expect(load(yaml).config.graphql.maxCost).toBeGreaterThan(0);
  });

  test.each(commands)('has commands that are: %s', (command) => {
    expect(parseArguments(command.split(' ').slice(1)).command).toBeDefined();
  });

  test('shows what weir explain prints', { timeout: 60_000 }, async () => {
    let printed = '';
    const terminal = { out: (text: string) => void (printed += text), err: (text: string) => void (printed += text) };
    expect(await run(commands[0]!.split(' ').slice(1), terminal)).toBe(0);
    expect(printed).toBe(of('text')[0]);
  });

  test('has SDL that is priced as it says', () => {
    const [sdl] = of('graphql');
    expect(parse(sdl!).definitions).toHaveLength(2);
    const schema = schemaFrom(`${sdl} type Product { id: ID! stock: Int @upstream(name: "stock") }`);
    const cost = (query: string) => costOf(schema, query);
    expect(cost('{ search(input: { text: "tea" }) { id } }')).toBe(1 + 2 + 0.5);
    expect(cost('{ search(input: { text: "tea" }) { stock } }')).toBe(3.5 + 20);
    expect(cost('{ search(input: { text: "tea", first: 5 }) { stock } }')).toBe(3.5 + 5);
    expect(cost('{ search(input: { text: "tea", first: null }) { stock } }')).toBe(3.5 + 40);
    expect(cost('{ productsById(ids: [1, 2, 3]) { stock } }')).toBe(1 + 3);
  });
});
