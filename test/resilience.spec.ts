import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parse, type DocumentNode } from 'graphql';
import { describe, expect, onTestFinished, test } from 'vitest';
import { inspect } from '#gateway/assembly.ts';
import { openProject } from '#gateway/project.ts';
import { createExecution } from '#resolvers/execution.ts';
import { load } from '#resolvers/load.ts';
import type { Module } from '#resolvers/module.ts';
import { modules as shop } from '#resolvers/registry.ts';
import { lintSchema } from '#schema/lint.ts';
import { batch } from '#upstreams/loaders/loader.ts';
import { createProject } from './cli/project.ts';
import { byName, moduleOf, run, upstreamAt } from './modules/harness.ts';
import { startGateway } from './support/gateway.ts';
import { fencedBlocks, type Block } from './support/markdown.ts';
import { send } from './support/raw-client.ts';
import { deadUrl, startUpstream } from './support/upstream.ts';

const page = readFileSync(resolve(import.meta.dirname, '../docs/resilience.md'), 'utf8');
const blocks = fencedBlocks(page);

function of(language: string): Block[] {
  const found = blocks.filter(({ info }) => info.split(' ')[0] === language);
  if (found.length === 0) throw new Error(`the page has no block of ${language}`);
  return found;
}

const executable = ({ text }: Block) => /^(\{|query)/.test(text);
const query = of('graphql').find(executable);
const sdl = of('graphql').find((block) => !executable(block));

/** The page's service addresses lead nowhere; neither shall ours. */
async function withoutServices(yaml: string): Promise<string> {
  return yaml.replaceAll(/http:\/\/[\w.-]+\.internal:\d+/g, await deadUrl());
}

interface Clients {
  readonly clients: { readonly reviews: { get(path: string): Promise<unknown[]> } };
}

const idOf = (product: unknown) => (product as { readonly id: string }).id;

/** Modules of the shop, and one that says what the page says and whose fields call the upstreams that they name. */
function withPage(): Module[] {
  const fields = upstreamFields(parse(sdl!.text));
  const resolvers = { Product: Object.fromEntries(fields.map(({ name }) => [name, load(name, { key: idOf })])) };
  const loaders = ({ clients }: Clients) =>
    Object.fromEntries(
      fields.map(({ name, maxBatchSize }) => [name, batch({ maxBatchSize }, () => clients.reviews.get(`/${name}`))]),
    );
  return [...shop, moduleOf('page', sdl!.text, { upstreams: { reviews: {} }, loaders, resolvers })];
}

function upstreamFields({ definitions }: DocumentNode): { readonly name: string; readonly maxBatchSize: number }[] {
  return definitions.flatMap((definition) =>
    definition.kind === 'ObjectTypeExtension'
      ? (definition.fields ?? []).map(({ name, directives = [] }) => {
          const size = directives[0]?.arguments?.find((argument) => argument.name.value === 'batch')?.value;
          return { name: name.value, maxBatchSize: size?.kind === 'IntValue' ? Number(size.value) : 1 };
        })
      : [],
  );
}

describe('docs/resilience.md', () => {
  test.each(of('yaml'))('line $line: the configuration is sound, and nothing warns of it', async ({ text }) => {
    inspect(await openProject({ config: 'gateway.yaml', text, env: {} }));
    const { status, stdout } = await createProject({ 'gateway.yaml': text }).weir('check');
    expect([status, stdout]).toEqual([0, expect.stringMatching(/^gateway\.yaml is sound: .*\n$/)]);
  });

  test.each(of('text'))('line $line: is what weir check says of an upstream without health.path', async ({ text }) => {
    const yaml = 'upstreams: { orders: { endpoints: [http://a] } }';
    const { stdout } = await createProject({ 'gateway.yaml': yaml }).weir('check');
    expect(stdout).toContain(text);
  });

  test.each(of('http'))('line $line: $info is answered so by the configuration above it', async (block) => {
    const [, method = '', target = ''] = block.info.split(' ');
    const above = of('yaml').findLast(({ line }) => line < block.line)!;
    const gateway = await startGateway(await withoutServices(above.text));
    onTestFinished(() => gateway.stop());
    const answer = await send(`${gateway.url}${target}`, { method });
    const [head = '', body] = block.text.trim().split('\n\n');
    const [statusLine = '', ...fields] = head.split('\n');
    expect(answer.status).toBe(Number(statusLine.split(' ')[1]));
    expect(answer.text).toBe(body);
    for (const field of fields) {
      const [name = '', value] = field.split(': ');
      expect([name, answer.headers[name]]).toEqual([name, value]);
    }
  });

  test('its SDL fits the shop, and its answer is what the query gets while the reviews are down', async () => {
    const catalog = await startUpstream((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ items: [{ id: '3', name: 'Steel Bottle' }] }));
    });
    onTestFinished(() => catalog.close());
    const dead = await deadUrl();
    const upstreams = byName(
      upstreamAt('catalog', catalog.url),
      ...['users', 'orders', 'reviews'].map((name) => upstreamAt(name, dead, { retry: { attempts: 0 } })),
    );
    const execution = createExecution(withPage(), upstreams);
    expect(lintSchema(execution.schema).filter(({ where }) => where.includes('page.graphql'))).toEqual([]);
    const { data, errors, request } = await run(execution, query!.text);
    expect(errors).toEqual([]);
    const byPath = ({ path: [, a] }: Noted, { path: [, b] }: Noted) => String(a).localeCompare(String(b));
    const degraded = request.degraded!.toSorted(byPath);
    expect({ data, extensions: { degraded } }).toEqual(JSON.parse(of('json')[0]!.text));
  });
});

interface Noted {
  readonly path: readonly (string | number)[];
}
