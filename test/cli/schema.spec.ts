import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { buildSchema } from 'graphql';
import { describe, expect, test } from 'vitest';
import { createProject, stock } from './project.ts';

const root = resolve(import.meta.dirname, '../..');

describe('weir schema', () => {
  test('prints the contract of the shop as it is kept in schema/schema.graphql', async () => {
    const { status, stdout } = await createProject({}).weir(
      'schema',
      '--config',
      join(root, 'examples/shop/gateway.yaml'),
    );
    expect(stdout).toBe(readFileSync(join(root, 'schema/schema.graphql'), 'utf8'));
    expect(status).toBe(0);
  });

  test('prints a schema that stands by itself, with what the modules extend in its place', async () => {
    const { stdout } = await createProject(stock).weir('schema');
    expect(Object.keys(buildSchema(stdout).getQueryType()!.getFields())).toEqual(['rateLimit', 'item']);
    expect(stdout).toContain('left: Int @upstream(name: "stock", batch: 50)');
  });

  test('needs no configuration where the folder of modules is given', async () => {
    const { 'gateway.yaml': _left, ...modules } = stock;
    const { status, stdout } = await createProject(modules).weir('schema', '--modules', 'resolvers');
    expect(stdout).toContain('type Item {');
    expect(status).toBe(0);
  });

  test('says what keeps the modules from being a schema', async () => {
    const files = { ...stock, 'resolvers/stock/stock.graphql': 'extend type Query {\n  item: Itme\n}\n' };
    const { status, stdout, stderr } = await createProject(files).weir('schema');
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toContain('resolvers/stock/stock.graphql:2: module \'stock\': Unknown type "Itme"');
  });
});
