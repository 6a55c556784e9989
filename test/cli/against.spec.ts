import { describe, expect, test } from 'vitest';
import type { Outcome } from '../support/program.ts';
import { createProject, type Files } from './project.ts';

/** In JavaScript, so that there is nothing to compile each time. */
const files: Files = {
  'gateway.yaml': 'modules: ./modules\n',
  'modules/registry.js': `import { defineModule, sdl } from 'weir';

const typeDefs = sdl(import.meta, './stock.graphql');
const resolvers = { Query: { item: (_, { sku }) => ({ sku, left: 7 }) } };

export const modules = [defineModule({ name: 'stock', owner: 'team-stock', typeDefs, resolvers })];
`,
  'modules/stock.graphql': `extend type Query {
  item(sku: ID!): Item
}

type Item {
  sku: ID!
  left: Int
}
`,
};

/** Compares the schema of a project with one that it is said to have had. */
async function against(before: (schema: string) => string): Promise<Outcome> {
  const project = createProject(files);
  const { stdout } = await project.weir('schema');
  project.write({ 'main.graphql': before(stdout) });
  return project.weir('check', '--against', 'main.graphql');
}

describe('weir check --against FILE', () => {
  test('is content with the schema that weir schema printed', async () => {
    expect(await against((schema) => schema)).toMatchObject({ status: 0, stderr: '' });
  });

  test('is content with what is new', async () => {
    expect(await against((schema) => schema.replace(/ {2}left.*\n/, ''))).toMatchObject({ status: 0, stderr: '' });
  });

  test.each([
    ['a field that is gone', 'sku: ID!', 'sku: ID!\n  shelf: String', 'Field Item.shelf was removed.'],
    ['a field of another type', 'left: Int', 'left: Int!', 'Field Item.left changed type from Int! to Int.'],
    [
      'an argument that is now required',
      'item(sku: ID!)',
      'item(sku: ID)',
      'Argument Query.item(sku:) has changed type from ID to ID!.',
    ],
    ['a type that is gone', 'type Item', 'scalar Shelf\n\ntype Item', 'Shelf was removed.'],
  ])('fails on %s', async (_what, is, was, says) => {
    const { status, stderr } = await against((schema) => schema.replace(is, was));
    expect(stderr).toContain('error: breaking for clients of main.graphql: ');
    expect(stderr).toContain(says);
    expect(status).toBe(1);
  });

  test('warns of what may surprise a client', async () => {
    const { status, stdout, stderr } = await against((schema) => schema.replace('sku: ID!)', 'sku: ID! = "a")'));
    expect(stdout).toMatch(/^warning: dangerous for clients of main\.graphql: .*item.*default/m);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });

  const fix = "Fix: name a file that holds what 'weir schema' printed.\n";

  test.each([
    ['a file that is not there', 'missing.graphql', '--against missing.graphql: the file does not exist. '],
    ['a folder', 'modules', '--against modules: the file is a folder. '],
    [
      'no GraphQL',
      'gateway.yaml',
      '--against gateway.yaml:1: the file is no schema: Syntax Error: Unexpected Name "modules". ',
    ],
    ['half a schema', 'modules/stock.graphql', '--against modules/stock.graphql: the file is no schema: '],
  ])('says in a line that it cannot compare with %s', async (_what, file, says) => {
    const { status, stderr } = await createProject(files).weir('check', '--against', file);
    expect(stderr).toContain(`error: ${says}`);
    expect(stderr.endsWith(fix)).toBe(true);
    expect(status).toBe(1);
  });

  test('has nothing to compare without modules', async () => {
    const project = createProject({ 'gateway.yaml': 'upstreams: {}\n', 'main.graphql': 'type Query { a: Int }' });
    expect(await project.weir('check', '--against', 'main.graphql')).toMatchObject({
      status: 1,
      stderr: 'error: --against compares schemas, but without modules there is none.\n',
    });
  });
});
