import { execFile } from 'node:child_process';
import { readFile, readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '../..');
const library = 'test/fixtures/modules/library';

interface CompileError {
  readonly file: string;
  readonly line: number;
  readonly message: string;
}

/** Every error of the compiler, with what it says below its first line. */
async function compile(project: string): Promise<CompileError[]> {
  const { promise, resolve: done } = Promise.withResolvers<string>();
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  execFile(process.execPath, [tsc, '-p', project, '--pretty', 'false'], { cwd: root }, (_error, stdout) =>
    done(stdout),
  );
  return [...(await promise).matchAll(/^(\S+)\((\d+),\d+\): error TS\d+: (.*(?:\n .*)*)/gm)].map(
    ([, file = '', line, message = '']) => ({ file, line: Number(line), message }),
  );
}

/** The lines of a file of mistakes that say that they are one. */
async function marked(file: string): Promise<CompileError[]> {
  const lines = (await readFile(join(root, file), 'utf8')).split('\n');
  return lines.flatMap((text, index) => {
    const message = /\/\/ error (.+)$/.exec(text)?.[1];
    return message === undefined ? [] : [{ file, line: index + 1, message }];
  });
}

describe('the compiler, on modules', async () => {
  const errors = await compile(library);
  const mistakes = (await readdir(join(root, library, 'mistakes'))).map((name) => `${library}/mistakes/${name}`);

  it('accepts a module without mistakes', () => {
    expect(errors.filter(({ file }) => !mistakes.includes(file))).toEqual([]);
  });

  it('looks at every file of mistakes', () => {
    expect(new Set(errors.map(({ file }) => file))).toEqual(new Set(mistakes));
  });

  it.each(mistakes)('finds every mistake of %s, and nothing else', async (file) => {
    const expected = await marked(file);
    const found = errors.filter((error) => error.file === file);
    expect(new Set(found.map(({ line }) => line))).toEqual(new Set(expected.map(({ line }) => line)));
    for (const { line, message } of expected) {
      expect(
        found
          .filter((error) => error.line === line)
          .map((error) => error.message)
          .join('\n'),
      ).toContain(message);
    }
  });

  it('accepts modules whose types have not been generated yet', async () => {
    expect(await compile('test/fixtures/modules/untyped')).toEqual([]);
  });
});
