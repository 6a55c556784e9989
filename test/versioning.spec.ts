import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { parse } from 'yaml';
import { inspect } from '#gateway/assembly.ts';
import { openProject } from '#gateway/project.ts';
import { checkTransform } from '#resolvers/index.ts';
import { ordersV2ToV1 } from '#resolvers/orders/v2.ts';
import { Transform } from '#upstreams/transforms/transform.ts';
import { spawnService, type ShopService } from '../examples/shop/services/spawn.ts';
import { weirAt } from './cli/running.ts';
import { FileGateway } from './support/file-gateway.ts';
import { fencedBlocks, type Block } from './support/markdown.ts';
import { send } from './support/raw-client.ts';

const page = readFileSync(resolve(import.meta.dirname, '../docs/versioning.md'), 'utf8');
const blocks = fencedBlocks(page);
const kind = ({ info }: Block) => info.split(' ')[0]!;
/** The shop's modules, whose orders bring no routes, since the page's file does. */
const modules = resolve(import.meta.dirname, 'fixtures/walk');
const source = ['v2.ts', 'module.ts']
  .map((file) => readFileSync(resolve(import.meta.dirname, '../resolvers/orders', file), 'utf8'))
  .join('\n');

let orders: ShopService;
let gateway: FileGateway | undefined;
/** What the file held last. */
let current = '';

beforeAll(async () => {
  orders = await spawnService('orders', 0);
});

afterAll(async () => {
  await gateway?.stop();
  await orders.kill();
});

/** The page's file, with the addresses of this machine. */
function runnable(yaml: string): object {
  const config = parse(yaml.replaceAll('http://orders.internal:5002', orders.url)) as { upstreams: object };
  const others = Object.fromEntries(
    ['users', 'catalog', 'reviews'].map((name) => [name, { endpoints: ['http://127.0.0.1:9'] }]),
  );
  return { ...config, upstreams: { ...others, ...config.upstreams } };
}

/** What is asked, and what comes: head, empty line, body, each time. */
function exchangeOf({ text }: Block) {
  const parts = text.trim().split('\n\n');
  const [requestLine = '', ...fields] = parts[0]!.split('\n');
  const [method = '', target = ''] = requestLine.split(' ');
  const answerAt = parts.findIndex((part) => /^\d{3}(\n|$)/.test(part));
  const [status = '', ...expected] = parts[answerAt]!.split('\n');
  const pairs = (lines: string[]) =>
    Object.fromEntries(lines.map((line) => [line.split(': ', 1)[0]!, line.slice(line.indexOf(': ') + 2)]));
  return {
    request: { method, headers: pairs(fields), ...(answerAt > 1 && { body: parts[1]! }) },
    target,
    status: Number(status),
    headers: pairs(expected),
    body: parts[answerAt + 1],
  };
}

describe('docs/versioning.md, step by step', () => {
  test.each(blocks)('line $line: $info', async (block) => {
    const { info, text } = block;
    switch (kind(block)) {
      case 'ts':
        // The page quotes the shop.
        expect(source).toContain(text.trimEnd());
        return;
      case 'yaml': {
        inspect(
          await openProject({ config: 'gateway.yaml', text, modules, env: {} }).catch(() =>
            openProject({ config: 'gateway.yaml', text: JSON.stringify(runnable(text)), modules, env: {} }),
          ),
        );
        current = text;
        // The shop has no second service of orders.
        if (text.includes('orders-next')) return;
        if (gateway) expect(await gateway.change(runnable(text))).toMatchObject({ ok: true });
        else gateway = await FileGateway.start(runnable(text), { modules });
        return;
      }
      case 'http': {
        const at = /at=(\S+)/.exec(info)?.[1];
        const clock = at === undefined ? undefined : vi.spyOn(Date, 'now').mockImplementation(() => Date.parse(at));
        try {
          const { request, target, status, headers, body } = exchangeOf(block);
          const answer = await send(gateway!.url + target, request);
          expect([answer.status, answer.status === status ? '' : answer.text]).toEqual([status, '']);
          expect(answer.headers).toMatchObject(headers);
          if (body !== undefined) expect(answer.json()).toMatchObject(JSON.parse(body) as object);
        } finally {
          clock?.mockRestore();
        }
        return;
      }
      case 'sh': {
        const output = blocks[blocks.indexOf(block) + 1]!.text;
        const { status, stdout } = await weirAt(gateway!.adminUrl)(...text.trim().split(' ').slice(1));
        const timeless = (shown: string) =>
          shown.replaceAll(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/g, 'TIME').replaceAll(/ +/g, ' ');
        expect([status, timeless(stdout)]).toEqual([0, timeless(output)]);
        return;
      }
      case 'text':
        if (text.startsWith('error: ')) {
          const lossless = checkTransform(new Transform({ ...ordersV2ToV1.definition, lossy: [] }), { runs: 5 });
          expect(
            lossless.map((problem) => `error: The transform 'orders-v2-to-v1' of module 'orders': ${problem}.\n`),
          ).toContain(text);
        } else expect(kind(blocks[blocks.indexOf(block) - 1]!)).toBe('sh');
        return;
      default:
        throw new Error(`nothing follows ${info}`);
    }
  });

  test('goes the whole way: the last file serves v2 alone', () => {
    expect(current).toContain('known: [v2]');
  });
});
