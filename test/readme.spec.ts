import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseArguments, usage } from '#gateway/cli/arguments.ts';
import { fencedBlocks, linksOf, section } from './support/markdown.ts';
import { isListening } from './support/ports.ts';
import { Program, runCommand, runProgram } from './support/program.ts';

const root = resolve(import.meta.dirname, '..');
const readme = readFileSync(join(root, 'README.md'), 'utf8');
const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  readonly scripts: Readonly<Record<string, string>>;
};

describe('The README', () => {
  const links = linksOf(readme);

  test.each(links.filter((link) => !link.startsWith('http')))('leads to %s, which exists', (link) => {
    expect(existsSync(join(root, link))).toBe(true);
  });

  test('names npm scripts that exist, and all that there are', () => {
    const named = [...readme.matchAll(/npm (?:run )?(start|test|(?<=run )[\w:]+)/g)].map(([, name]) => name!);
    const hooks = /^(pre|post)/;
    expect(new Set(named)).toEqual(new Set(Object.keys(scripts).filter((name) => !hooks.test(name))));
  });

  test('lists the commands that there are', () => {
    const listed = readme.matchAll(/^\| `(weir [\w-]+)`/gm).map(([, command]) => command);
    const taken = usage.matchAll(/^ {2}(weir [\w-]+)/gm).map(([, command]) => command);
    expect(new Set(listed)).toEqual(new Set(taken));
  });

  test('calls weir as weir takes it', () => {
    const calls = [...readme.matchAll(/^npx weir (.*)$/gm)].map(([, call]) => call!.split(' '));
    expect(calls.length).toBeGreaterThan(0);
    for (const call of calls) expect(parseArguments(call).command).toBe(call[0]);
  });

  test('shows a configuration that is sound', async () => {
    const yaml = fencedBlocks(readme).find(({ info }) => info === 'yaml');
    const folder = mkdtempSync(join(tmpdir(), 'weir-readme-'));
    writeFileSync(join(folder, 'gateway.yaml'), yaml!.text);
    const outcome = await runProgram([join(root, 'gateway/main.ts'), 'check'], { cwd: folder });
    rmSync(folder, { recursive: true });
    expect(outcome).toMatchObject({ status: 0, stderr: '' });
  });
});

/** What `npm start` takes unless it is told otherwise, and the README's lines go to. */
const ports = [4000, 4001, 5001, 5002, 5003, 5004];

interface Counters {
  readonly total: number;
  readonly byRoute: Readonly<Record<string, number>>;
  readonly urls: readonly string[];
}

describe("The README's first five minutes", () => {
  const lines = fencedBlocks(section(readme, 'The first five minutes')).map(({ text }) => text);
  let shop: Program | undefined;

  beforeAll(async () => {
    const taken = (await Promise.all(ports.map(async (port) => ((await isListening(port)) ? [port] : [])))).flat();
    if (taken.length > 0)
      throw new Error(`These lines need ports that another process listens at: ${taken.join(', ')}.`);
    shop = new Program(['npm', 'start'], { cwd: root });
    await shop.until(({ stdout }) => stdout.includes('"listening"'));
  }, 60_000);

  afterAll(async () => {
    shop?.signalAll('SIGINT');
    await shop?.end();
  });

  /** What the lines of a block print. */
  async function paste(block: string | undefined): Promise<string> {
    const { status, stdout, stderr } = await runCommand(['bash', '-euo', 'pipefail', '-c', block!], { cwd: root });
    expect(status, stderr).toBe(0);
    return stdout;
  }

  async function counters(): Promise<Counters[]> {
    const services = [5001, 5002, 5003, 5004].map((port) => fetch(`http://localhost:${port}/_counters`));
    return Promise.all((await Promise.all(services)).map(async (answer) => (await answer.json()) as Counters));
  }

  async function calls(): Promise<number> {
    return (await counters()).reduce((sum, { total }) => sum + total, 0);
  }

  test('have as many blocks to paste as there are specifications of them here', () => expect(lines).toHaveLength(6));

  test('query four services in nine calls, where one for each key would be more than four hundred', async () => {
    const { data, errors } = JSON.parse(await paste(lines[0])) as { data: { users: unknown[] }; errors?: unknown };
    expect(errors).toBeUndefined();
    expect(data.users).toHaveLength(10);
    expect(await calls()).toBe(9);
    const keys = (await counters()).flatMap(({ urls }) =>
      urls.map((url) => new URLSearchParams(url.split('?')[1]).get('ids') ?? /_ids=([\d,]+)/.exec(url)?.[1] ?? 'one'),
    );
    expect(keys.flatMap((list) => list.split(',')).length).toBeGreaterThan(400);
  });

  test('count a single GET /orders for all ten users', async () => {
    const { byRoute } = JSON.parse(await paste(lines[1])) as Counters;
    expect(byRoute['GET /orders']).toBe(1);
  });

  test('ask the services as REST', async () => {
    expect((await paste(lines[2])).match(/HTTP\/1.1 200 OK/g)).toHaveLength(2);
  });

  test('break reviews, and the products come back in a second without them', async () => {
    const started = performance.now();
    // First the service tells the fault that it was given.
    const [, answer] = /(\{"data".*)/.exec(await paste(lines[3])) ?? [];
    const { data, extensions } = JSON.parse(answer!) as {
      readonly data: { readonly products: readonly { readonly name: string; readonly reviews: unknown }[] };
      readonly extensions: { readonly degraded: readonly { readonly code: string; readonly upstream: string }[] };
    };
    expect(performance.now() - started).toBeLessThan(5_000);
    expect(data.products.map(({ name }) => typeof name)).toEqual(['string', 'string', 'string']);
    expect(data.products.map(({ reviews }) => reviews)).toEqual([null, null, null]);
    expect(extensions.degraded[0]).toMatchObject({ code: 'DEADLINE_EXCEEDED', upstream: 'reviews' });
  });

  test('mend them again', async () => {
    await paste(lines[4]);
    const query = encodeURIComponent('{ products(first: 3) { reviews(first: 1) { body } } }');
    const answer = await fetch(`http://localhost:4000/graphql?query=${query}`);
    expect(await answer.text()).not.toContain('null');
  });

  test('tell what a query costs before it is run, and call nobody for it', async () => {
    const before = await calls();
    const { extensions } = JSON.parse(await paste(lines[5])) as {
      readonly extensions: { readonly explain: Readonly<Record<string, unknown>> };
    };
    expect(JSON.stringify(extensions.explain)).toContain('"upstream":"orders"');
    expect(await calls()).toBe(before);
  });

  test('can be had once: a second npm start names the ports that are taken, and the way out', async () => {
    const env = { PORT: '0', ADMIN_PORT: '0' };
    const { status, stderr } = await runCommand(['npm', 'start'], { cwd: root, env });
    expect(status).toBe(1);
    for (const port of ports.slice(2))
      expect(stderr).toContain(`port ${port} of 127.0.0.1 is taken by another process`);
    expect(stderr).toContain('Fix: stop that process, or let the services take any port: SHOP_PORTS=free npm start\n');
    expect(await calls()).toBeGreaterThan(0);
  });

  test('say truly that a query whose levels fit in a batch each takes one call a level', async () => {
    // Products and authors that the first query has brought need not be asked for again.
    for (const upstream of ['users', 'catalog', 'reviews'])
      await fetch('http://localhost:4001/admin/cache/purge', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ by: 'reader', upstream }),
      });
    const before = await calls();
    const query =
      '{ users(first: 3) { orders(first: 2) { items { product { name reviews(first: 3) { author { name } } } } } } }';
    await (await fetch(`http://localhost:4000/graphql?query=${encodeURIComponent(query)}`)).text();
    expect(await calls()).toBe(before + 5);
  });

  test('lead to pages of the gateway, all of which answer', async () => {
    const pages = linksOf(section(readme, 'The first five minutes')).filter((link) => link.startsWith('http'));
    expect(pages.length).toBeGreaterThan(0);
    const answers = await Promise.all(pages.map((page) => fetch(page, { headers: { accept: 'text/html,*/*' } })));
    expect(answers.map(({ url, status }) => [url, status])).toEqual(answers.map(({ url }) => [url, 200]));
  });
});
