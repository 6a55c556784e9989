/**
 * `npm run check`: everything about the tree that needs no running gateway. All steps run, side by side; one line each,
 * and at the end the whole output of those that failed, with the command that mends it.
 */
import { spawn } from 'node:child_process';
import { join, resolve } from 'node:path';
import { auditVerdict } from './audit.ts';

const root = resolve(import.meta.dirname, '..');

interface Outcome {
  readonly ok: boolean;
  readonly output: string;
  /** Why a step that could not be carried out is no failure. */
  readonly note?: string;
}

interface Step {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
  readonly mend: string;
  readonly judge?: (output: string) => Outcome;
}

const steps: readonly Step[] = [
  { name: 'format', command: ['oxfmt', '--list-different'], mend: 'npm run format' },
  { name: 'lint, floors, cycles', command: ['oxlint'], mend: 'npx oxlint --fix, then by hand' },
  { name: 'types', command: ['tsc', '-p', '.', '--pretty', 'false'], mend: 'by hand' },
  { name: 'generated files', command: ['node', 'tools/generate.ts', '--check'], mend: 'npm run generate' },
  { name: 'unused code', command: ['knip', '--no-progress'], mend: 'remove what is unused, or export it for a reason' },
  {
    name: 'audit',
    command: ['npm', 'audit', '--omit=dev', '--json', '--fetch-retries=0', '--fetch-timeout=10000'],
    mend: 'npm audit fix, or an override in package.json',
    judge: auditVerdict,
  },
];

async function run({ command: [name, ...args], judge }: Step): Promise<Outcome> {
  const { promise, resolve: done } = Promise.withResolvers<Outcome>();
  const command = name === 'npm' ? name : join(root, 'node_modules/.bin', name);
  const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  const chunks: Buffer[] = [];
  // The verdict reads stdout; what a tool says beside its result is for people only.
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  if (!judge) child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.on('error', (error) => done({ ok: false, output: error.message }));
  child.on('close', (code) => {
    const output = Buffer.concat(chunks).toString();
    done(judge ? judge(output) : { ok: code === 0, output });
  });
  return promise;
}

const failed: { readonly step: Step; readonly output: string }[] = [];
await Promise.all(
  steps.map(async (step) => {
    const started = performance.now();
    const { ok, output, note } = await run(step);
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    console.log(
      `${ok ? (note === undefined ? 'ok    ' : 'skip  ') : 'FAILED'}  ${step.name} (${note ?? `${seconds} s`})`,
    );
    if (!ok) failed.push({ step, output });
  }),
);
for (const { step, output } of failed) {
  console.error(
    `\n── ${step.name} ${'─'.repeat(Math.max(0, 100 - step.name.length))}\n${output.trim()}\nTo mend it: ${step.mend}`,
  );
}
process.exitCode = failed.length === 0 ? 0 : 1;
