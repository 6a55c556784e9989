import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { GraphqlBody } from './graphql/shop-gateway.ts';
import { isListening } from './support/ports.ts';
import { Program, runCommand } from './support/program.ts';
import { startUpstream, type TestUpstream } from './support/upstream.ts';

const root = resolve(import.meta.dirname, '..');
const scratch = mkdtempSync(join(tmpdir(), 'weir-start-'));
const file = join(scratch, 'alone.yaml');
const free = { PORT: '0', ADMIN_PORT: '0', SHOP_PORTS: 'free' };

let upstream: TestUpstream;
const programs: Program[] = [];

beforeAll(async () => {
  upstream = await startUpstream((_request, response) => response.end('from the upstream'));
  writeFileSync(
    file,
    `listen: { port: 0, drainDelay: 0ms }
admin: { port: 0 }
upstreams: { things: { endpoints: [${upstream.url}] } }
routes: [{ path: /things, upstream: things }]
`,
  );
});

afterEach(() => {
  for (const program of programs.splice(0)) program.signalAll('SIGKILL');
});

afterAll(async () => {
  await upstream.close();
  rmSync(scratch, { recursive: true });
});

function begin(command: readonly [string, ...string[]], env: Readonly<Record<string, string>> = free): Program {
  const program = new Program(command, { cwd: root, env });
  programs.push(program);
  return program;
}

const start: readonly [string, ...string[]] = [process.execPath, 'examples/shop/start.ts'];

/**
 * In a terminal of its own (util-linux), where what is typed comes from a keyboard. `exec`: a shell in between would
 * end with a status of its own when Ctrl-C reaches it too.
 */
function inTerminal(...args: readonly string[]): Program {
  return begin(['script', '--quiet', '--return', '--command', ['exec', ...start, ...args].join(' '), '/dev/null']);
}

interface Listening {
  readonly msg: string;
  readonly pid: number;
  readonly address: string;
  readonly admin: string;
}

async function listening(program: Program): Promise<Listening> {
  await program.until(({ stdout }) => stdout.includes('\n'));
  return JSON.parse(program.stdout.slice(0, program.stdout.indexOf('\n'))) as Listening;
}

/** Of every address that a banner shows. */
function portsIn(banner: string): number[] {
  return [...new Set([...banner.matchAll(/127\.0\.0\.1:(\d+)/g)].map(([, port]) => Number(port)))];
}

function listeners(ports: readonly number[]): Promise<boolean[]> {
  return Promise.all(ports.map(isListening));
}

const six = Array.from({ length: 6 }, () => true);

describe('npm start', { timeout: 60_000 }, () => {
  test('says where it listens in the first line of stdout, as JSON; the banner goes to stderr; SIGTERM ends it with its four services', async () => {
    const program = begin(start);
    const { msg, address, admin } = await listening(program);
    expect(msg).toBe('listening');
    await program.until(({ stderr }) => stderr.includes('Lines to try'));
    expect(program.stderr).toContain(`GraphQL    ${address}/graphql`);
    expect(program.stderr).toContain(`Operators  ${admin}/readyz`);

    for (const line of program.stderr.matchAll(/^ *curl .*$/gm)) {
      const { status, stdout } = await runCommand(['bash', '-c', `${line[0]} --fail-with-body`], { cwd: root });
      expect(status, line[0] + stdout).toBe(0);
    }
    const [query] = /\{ users.*\}/.exec(program.stderr) ?? [];
    const answer = await fetch(`${address}/graphql?query=${encodeURIComponent(query!)}`);
    expect(Object.keys((await answer.json()) as object)).toEqual(['data']);

    const ports = portsIn(program.stderr);
    expect(await listeners(ports)).toEqual(six);
    program.signal('SIGTERM');
    expect(await program.end()).toBe(0);
    expect(program.running).toBe(false);
    expect(await listeners(ports)).not.toContain(true);
    for (const line of program.stdout.trim().split('\n')) expect(() => JSON.parse(line) as unknown).not.toThrow();
  });

  test('has a consumer for each tier, whose keys the banner prints and GraphiQL offers', async () => {
    const program = begin(start);
    const { address } = await listening(program);
    await program.until(({ stderr }) => stderr.includes('Lines to try'));
    const keys = /Keys +(.*)/.exec(program.stderr)![1]!.split('   ');
    expect(keys).toEqual([
      'demo-free (hobby, tier free)',
      'demo-pro (storefront, tier pro)',
      'demo-partner (marketplace, tier partner)',
    ]);
    const page = await (await fetch(`${address}/graphql`, { headers: { accept: 'text/html' } })).text();
    const seen: unknown[] = [];
    for (const key of keys.map((text) => text.split(' ')[0]!)) {
      expect(page).toContain(`<option value="${key}">`);
      const headers = { 'x-api-key': key };
      const query = encodeURIComponent('{ order(id: 7) { tax { currency } } }');
      const tax = (await (await fetch(`${address}/graphql?query=${query}`, { headers })).json()) as GraphqlBody;
      const feed = await fetch(`${address}/v1/feed?first=1`, { headers });
      seen.push([tax.errors?.[0]?.extensions.code, feed.status]);
    }
    expect(seen).toEqual([
      ['FORBIDDEN', 403],
      [undefined, 403],
      [undefined, 200],
    ]);
    expect((await fetch(`${address}/v1/orders/7`, { headers: { 'x-api-key': 'demo-other' } })).status).toBe(401);
  });

  test('ends with its four services on SIGINT, and takes what comes along with it for the same', async () => {
    const program = begin(start);
    await listening(program);
    program.signal('SIGINT');
    // As npm does, passing on what the terminal has sent to all; of two alike the system might deliver one.
    program.signal('SIGTERM');
    expect(await program.end()).toBe(0);
    expect(program.running).toBe(false);
  });

  test('does not wait any longer when somebody sends a signal once more', async () => {
    const program = begin(start);
    await listening(program);
    program.signal('SIGTERM');
    const impatient = setInterval(() => program.signal('SIGINT'), 100);
    expect(await program.end()).toBe(130);
    clearInterval(impatient);
  });

  test('prints its banner to a terminal, where Ctrl-C ends it all', async () => {
    const program = inTerminal();
    await program.until(({ stdout }) => stdout.includes('Lines to try'));
    expect(program.stdout).not.toContain('"listening"');
    const ports = portsIn(program.stdout);
    expect(await listeners(ports)).toEqual(six);
    program.type('\x03');
    expect(await program.end()).toBe(0);
    expect(await listeners(ports)).not.toContain(true);
  });

  test.each([
    ['PORT', 'listen.port (examples/shop/gateway.yaml:4 ${env.PORT})'],
    ['ADMIN_PORT', 'admin.port (examples/shop/gateway.yaml:5 ${env.ADMIN_PORT})'],
  ])('says in a line that %s is taken, and leaves nothing running', async (variable, key) => {
    const program = begin(start, { ...free, [variable]: String(upstream.port) });
    expect(await program.end()).toBe(1);
    expect(program.stderr).toBe(
      `${key}: port ${upstream.port} of 127.0.0.1 is taken by another process. ` +
        `Fix: stop that process, or set ${variable} to another port.\n`,
    );
    expect(program.stdout).toBe('');
    expect(program.running).toBe(false);
  });

  test('takes nothing that it would not act on', async () => {
    const { status, stderr } = await runCommand([...start, '--modules', 'nowhere'], { cwd: root });
    expect(status).toBe(1);
    expect(stderr).toContain('gateway.yaml: the file does not exist');
  });
});

describe('npm start -- --config FILE', { timeout: 60_000 }, () => {
  test('runs that file alone: no shop, and none of its modules', async () => {
    const program = begin([...start, '--config', file]);
    const { address, admin, pid } = await listening(program);
    expect(await (await fetch(`${address}/things`)).text()).toBe('from the upstream');
    for (const path of ['/graphql', '/v1/users']) expect((await fetch(address + path)).status).toBe(404);
    const upstreams = (await (await fetch(`${admin}/admin/upstreams`)).json()) as readonly { readonly name: string }[];
    expect(upstreams.map(({ name }) => name)).toEqual(['things']);
    expect(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')).toBe('');
    expect(program.stderr).toBe('');
    program.signal('SIGINT');
    expect(await program.end()).toBe(0);
    expect(program.running).toBe(false);
  });

  test('prints a banner of its own to a terminal, where Ctrl-C drains nothing', async () => {
    const slow = join(scratch, 'slow.yaml');
    writeFileSync(slow, readFileSync(file, 'utf8').replace('0ms', '10m'));
    const program = inTerminal('--config', slow);
    await program.until(({ stdout }) => stdout.includes('Upstreams'));
    expect(program.stdout).toMatch(/Weir is listening at http:\/\/127\.0\.0\.1:\d+/);
    expect(program.stdout).toMatch(/REST +http:\/\/127\.0\.0\.1:\d+\/things/);
    expect(program.stdout).toContain(`things       ${upstream.url}`);
    expect(program.stdout).not.toContain('GraphQL');
    program.type('\x03');
    expect(await program.end()).toBe(0);
  });

  test.each([
    ['a file that is not there', 'missing.yaml', 'missing.yaml: the file does not exist'],
    ['no file', '', "'weir start' takes no --production"],
  ])('is told of %s', async (_what, name, says) => {
    const args = name === '' ? ['--production'] : ['--config', name];
    const { status, stdout, stderr } = await runCommand([...start, ...args], { cwd: root });
    expect({ status, stdout }).toEqual({ status: name === '' ? 2 : 1, stdout: '' });
    expect(stderr).toContain(says);
  });

  test('says in a line that an address of the file is taken', async () => {
    const taken = join(scratch, 'taken.yaml');
    writeFileSync(taken, `listen: { port: 0 }\nadmin: { port: ${upstream.port} }\n`);
    const program = begin([...start, '--config', taken]);
    expect(await program.end()).toBe(1);
    expect(program.stderr).toBe(
      `admin.port (${taken}:2): port ${upstream.port} of 127.0.0.1 is taken by another process. ` +
        `Fix: stop that process, or write another admin.port in ${taken}.\n`,
    );
  });

  test.each([
    ['listen', '192.0.2.1', '192.0.2.1 is no address of this machine'],
    ['admin', 'nowhere.invalid', 'nowhere.invalid has no address'],
  ])('says in a line that %s.host %s cannot be had', async (listener, host, reason) => {
    const wrong = join(scratch, 'wrong.yaml');
    const hosts = { listen: '127.0.0.1', admin: '127.0.0.1', [listener]: host };
    writeFileSync(
      wrong,
      `listen: { host: ${hosts.listen}, port: 0 }\nadmin: { host: ${hosts.admin}, port: 0, token: secret-enough }\n`,
    );
    const program = begin([...start, '--config', wrong]);
    expect(await program.end()).toBe(1);
    expect(program.stderr).toMatch(`${listener}.host (${wrong}:${listener === 'listen' ? 1 : 2}): ${reason}. Fix: `);
  });
});
