import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { usage } from '#gateway/cli/arguments.ts';
import { runCommand, runProgram, type Outcome } from '../support/program.ts';
import { createProject } from './project.ts';

const root = resolve(import.meta.dirname, '../..');

/** As a process of its own, for what the process itself says: its status, its streams, and that it ends. */
function weir(...args: readonly string[]): Promise<Outcome> {
  return runProgram([join(root, 'gateway/main.ts'), ...args], { cwd: root });
}

describe('weir', { timeout: 60_000 }, () => {
  test.each([
    ['no command', [], 'weir: a command is missing'],
    ['an unknown command', ['strat'], "weir: there is no command 'strat'"],
    ['a command that every object has', ['constructor'], "weir: there is no command 'constructor'"],
    ['an unknown option', ['check', '--prod'], "weir: Unknown option '--prod'"],
    ['an option without its value', ['check', '--config'], "weir: Option '--config <value>' argument missing"],
    ['an option with an empty value', ['check', '--config='], 'weir: --config names nothing'],
    [
      'a value for an option that takes none',
      ['check', '--production=no'],
      "weir: Option '--production' does not take an argument",
    ],
    ['an option of another command', ['start', '--production'], "weir: 'weir start' takes no --production"],
    ['one argument too many', ['check', 'gateway.yaml'], "weir: 'gateway.yaml' is one argument too many"],
  ])('called with %s says so, shows its usage, and exits with 2', async (_what, args, says) => {
    expect(await createProject({}).weir(...args)).toEqual({ status: 2, stdout: '', stderr: `${says}\n\n${usage}` });
  });

  test.each([[['--help']], [['-h']], [['check', '--help']]])('%j prints the usage', async (args) => {
    expect(await createProject({}).weir(...args)).toEqual({ status: 0, stdout: usage, stderr: '' });
  });

  test.each([[['--version']], [['-v']]])('%j prints the version of the package', async (args) => {
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { readonly version: string };
    expect(await createProject({}).weir(...args)).toEqual({ status: 0, stdout: `${version}\n`, stderr: '' });
  });

  test('exits with the status that a command ends with', async () => {
    const outcomes = await Promise.all([weir('--version'), weir('check', '--config', 'missing.yaml'), weir('strat')]);
    expect(outcomes.map(({ status }) => status)).toEqual([0, 1, 2]);
    expect(outcomes.map(({ stdout }) => stdout === '')).toEqual([false, true, true]);
  });

  test('takes no offence at a reader that has seen enough', async () => {
    const shop = join(root, 'examples/shop/gateway.yaml');
    const command = `"${process.execPath}" gateway/main.ts config --config "${shop}" | true; exit $PIPESTATUS`;
    expect(await runCommand(['bash', '-c', command], { cwd: root })).toEqual({ status: 0, stdout: '', stderr: '' });
  });

  test.each(['start', 'check', 'config', 'schema', 'types'])('%s misses its file in a line', async (command) => {
    expect(await createProject({}).weir(command)).toEqual({
      status: 1,
      stdout: '',
      stderr:
        'The configuration has a problem:\n' +
        'gateway.yaml: the file does not exist. Fix: create it, or name another with --config FILE.\n',
    });
  });

  test.each(['start', 'check', 'config', 'schema', 'types'])(
    '%s misses a folder of modules in a line',
    async (command) => {
      const project = createProject({ 'gateway.yaml': 'upstreams: {}\n' });
      expect(await project.weir(command, '--modules', 'nowhere')).toEqual({
        status: 1,
        stdout: '',
        stderr:
          'The modules have a problem:\n' +
          'nowhere: there is no such folder. Fix: correct --modules, or modules in the configuration.\n',
      });
    },
  );

  test.each(['schema', 'types'])('%s says that there are no modules', async (command) => {
    const { status, stdout, stderr } = await createProject({ 'gateway.yaml': 'upstreams: {}\n' }).weir(command);
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toMatch(
      /^There .* modules.* Fix: name their folder with --modules DIR, or modules: in the configuration\.\n$/,
    );
  });
});
