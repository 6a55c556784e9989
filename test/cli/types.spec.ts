import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createProject, stock } from './project.ts';

const openapi = `openapi: 3.1.0
info: { title: Stock, version: '1' }
paths:
  /stock:
    get:
      parameters: [{ name: skus, in: query, schema: { type: array, items: { type: string } } }]
      responses:
        '200':
          description: What is left.
          content: { application/json: { schema: { type: object, additionalProperties: { type: integer } } } }
`;

const files = {
  ...stock,
  'resolvers/stock/openapi.yaml': openapi,
  'resolvers/stock/module.ts': stock['resolvers/stock/module.ts'].replace(
    'import.meta, { health:',
    "import.meta, { openapi: './openapi.yaml', health:",
  ),
};

const generated = ['resolvers/stock/generated/stock.ts', 'resolvers/generated/schema.ts'];

describe('weir types', { timeout: 60_000 }, () => {
  test('writes the types of clients and resolvers, and touches nothing that is as it should be', async () => {
    const project = createProject(files);
    expect(await project.weir('types')).toEqual({
      status: 0,
      stdout: `${generated.map((file) => `${file} written\n`).join('')}2 of 2 files changed.\n`,
      stderr: '',
    });
    expect(readFileSync(join(project.folder, generated[0]!), 'utf8')).toContain('"/stock"');
    expect(readFileSync(join(project.folder, generated[1]!), 'utf8')).toContain("declare module 'weir'");
    const times = generated.map((file) => statSync(join(project.folder, file)).mtimeMs);
    expect(await project.weir('types')).toEqual({ status: 0, stdout: '0 of 2 files changed.\n', stderr: '' });
    expect(generated.map((file) => statSync(join(project.folder, file)).mtimeMs)).toEqual(times);
  });

  test('removes what it once made for what is there no more', async () => {
    const project = createProject(files);
    await project.weir('types');
    project.write({ 'resolvers/gone/generated/gone.ts': readFileSync(join(project.folder, generated[0]!), 'utf8') });
    expect(await project.weir('types')).toMatchObject({
      stdout: 'resolvers/gone/generated/gone.ts removed\n1 of 3 files changed.\n',
    });
  });

  test('with --check writes nothing, and says what is out of date and how to mend it', async () => {
    const project = createProject(files);
    const missing = await project.weir('types', '--check');
    expect(missing).toEqual({
      status: 1,
      stdout: generated.map((file) => `${file} outdated\n`).join(''),
      stderr: 'The generated types are out of date. Fix: run weir types.\n',
    });
    expect(() => statSync(join(project.folder, generated[0]!))).toThrow('ENOENT');
    await project.weir('types');
    expect(await project.weir('types', '--check')).toEqual({ status: 0, stdout: '', stderr: '' });
    project.write({ 'resolvers/stock/openapi.yaml': openapi.replace('/stock:', '/stocks:') });
    expect(await project.weir('types', '--check')).toMatchObject({ status: 1, stdout: `${generated[0]} outdated\n` });
  });

  test('needs no configuration where the folder of modules is given', async () => {
    const { 'gateway.yaml': _left, ...modules } = files;
    expect(await createProject(modules).weir('types', '--modules', 'resolvers')).toMatchObject({
      status: 0,
      stderr: '',
    });
  });

  test.each([
    ['is not there', undefined, 'ENOENT'],
    ['is no YAML', 'openapi: [', ''],
    ['is no OpenAPI', 'swagger: "2.0"\ninfo: { title: Old, version: "1" }\npaths: {}\n', ''],
  ])('says which OpenAPI document %s', async (_what, text, says) => {
    const { 'resolvers/stock/openapi.yaml': _left, ...rest } = files;
    const project = createProject({ ...rest, ...(text !== undefined && { 'resolvers/stock/openapi.yaml': text }) });
    const { status, stdout, stderr } = await project.weir('types');
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toMatch(
      /^The modules have a problem:\nresolvers\/stock\/openapi\.yaml: .+ Fix: correct the OpenAPI document, or its path in defineUpstream\.\n$/s,
    );
    expect(stderr).toContain(says);
    expect(stderr).not.toMatch(/^ +at /m);
  });
});
