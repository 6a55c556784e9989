/**
 * `npm run dev`: runs the gateway, and restarts it when a file changes; regenerates types first when SDL or an OpenAPI
 * document changed; prints type errors beside it, since Node strips types and checks none. Arguments are those of `npm start`.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { watch } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { floors } from './lint/floors.ts';

const root = resolve(import.meta.dirname, '..');
const args = process.argv.slice(2);
const sources = /\.(ts|graphql|ya?ml|json|html)$/;
/** What `npm run generate` writes itself; to act on that would be to act twice. */
const generated = /\/generated\/|\/schema\.graphql$|\.schema\.json$/;
/** What types are made from. */
const generates = /\.graphql$|openapi\.(ya?ml|json)$|\/(models|registry)\.ts$/;

let gateway: ChildProcess | undefined;
let timer: NodeJS.Timeout | undefined;
let stale = false;
let leaving = false;
let turning: Promise<void> = Promise.resolve();

function node(...command: readonly string[]): ChildProcess {
  const env = { WEIR_DEVELOPMENT: 'true', ...process.env };
  return spawn(process.execPath, command, { cwd: root, env, stdio: ['ignore', 'inherit', 'inherit'] });
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
}

function start(): void {
  const started = node('--max-semi-space-size=64', 'examples/shop/start.ts', ...args);
  gateway = started;
  started.once('exit', () => {
    if (started === gateway && !leaving) console.error('The gateway has ended. It starts again when a file changes.');
  });
}

/** SIGINT: a developer's stop, which in a terminal drains nothing. */
async function stop(): Promise<void> {
  const running = gateway;
  gateway = undefined;
  running?.kill('SIGINT');
  if (running) await ended(running);
}

/** Where types cannot be made, the modules cannot run either: the gateway that does is left alone. */
async function restart(): Promise<void> {
  if (stale) {
    const generator = node('tools/generate.ts', '--modules');
    await ended(generator);
    if (generator.exitCode !== 0) return;
    stale = false;
  }
  await stop();
  if (!leaving) start();
}

function changed(path: string): void {
  if (!sources.test(path) || generated.test(path)) return;
  stale ||= generates.test(path);
  clearTimeout(timer);
  timer = setTimeout(() => {
    turning = turning.then(restart);
  }, 100);
}

async function leave(signal: NodeJS.Signals): Promise<void> {
  // npm passes on what the terminal has sent already.
  if (leaving) return;
  leaving = true;
  clearTimeout(timer);
  compiler.kill();
  await turning;
  // The terminal sends its SIGINT to the gateway too, and a second one would cut short what it is finishing.
  if (signal === 'SIGTERM') await stop();
  else if (gateway) await ended(gateway);
  await ended(compiler);
  process.exit();
}

for (const folder of [...Object.keys(floors), 'examples']) {
  watch(join(root, folder), { recursive: true }, (_event, file) => changed(join(folder, file ?? '')));
}
const { config } = parseArgs({ args, strict: false, options: { config: { type: 'string' } } }).values;
if (typeof config === 'string') {
  // Its folder, since editors put a new file in place of the old one.
  watch(dirname(resolve(root, config)), (_event, file) => {
    if (file === basename(config)) changed(config);
  });
}
const compiler = node('node_modules/typescript/bin/tsc', '-p', '.', '--watch', '--preserveWatchOutput');
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => void leave(signal));
start();
