import { hash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { inspect } from '#gateway/assembly.ts';
import { openProject } from '#gateway/project.ts';
import { FileGateway } from '../support/file-gateway.ts';
import { createProject, stock } from '../cli/project.ts';
import { fencedBlocks } from '../support/markdown.ts';
import { lone, startModules, type GraphqlBody, type GraphqlServer } from './shop-gateway.ts';

const sha256 = (text: string) => hash('sha256', text);
const text = 'query Listed { __typename }';
const answer = { data: { __typename: 'Query' } };
const codesOf = ({ errors = [] }: GraphqlBody) => errors.map(({ extensions }) => extensions.code);

type Files = Readonly<Record<string, string>>;

function folderOf(files: Files): string {
  const folder = mkdtempSync(join(tmpdir(), 'weir-documents-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  write(folder, files);
  return folder;
}

function write(folder: string, files: Files): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
}

async function serving(files: Files, documents: object = {}, graphql: object = {}): Promise<GraphqlServer> {
  const path = folderOf(files);
  const server = await startModules('resolvers', lone({ graphql: { documents: { path, ...documents }, ...graphql } }));
  onTestFinished(() => server.stop());
  return server;
}

/** What is wrong with these files. */
async function complaint(files: Files, graphql: object = {}): Promise<string> {
  const config = lone({ graphql: { documents: { path: folderOf(files) }, ...graphql } });
  const project = await openProject({ config: 'test.yaml', text: JSON.stringify(config), modules: 'resolvers' });
  expect(() => inspect(project)).toThrow();
  try {
    inspect(project);
    return '';
  } catch (error) {
    return (error as Error).message;
  }
}

const apollo = (operations: readonly object[]) =>
  JSON.stringify({ format: 'apollo-persisted-query-manifest', version: 1, operations });

test('Operations of trusted documents are told apart by name in weir.cost.delta; names that clients choose are not', async () => {
  const server = await serving({ 'listed.graphql': text });
  expect((await server.query(text)).body).toEqual(answer);
  expect((await server.query('query Chosen { __typename }')).body).toEqual(answer);
  const metrics = await (await fetch(`${server.adminUrl}/metrics`)).text();
  const counts = metrics.split('\n').filter((line) => line.startsWith('weir_cost_delta_count'));
  expect(counts.toSorted()).toEqual([
    'weir_cost_delta_count{graphql_operation_type="query",graphql_operation_name="Listed"} 1',
    'weir_cost_delta_count{graphql_operation_type="query"} 1',
  ]);
});

describe('Trusted documents', () => {
  test.each<[string, Files, string]>([
    [
      "a manifest of Apollo's",
      { 'manifest.json': apollo([{ id: 'a1', name: 'Listed', type: 'query', body: text }]) },
      'a1',
    ],
    [
      'a manifest of Relay, by MD5',
      { 'persisted.json': JSON.stringify({ [hash('md5', text)]: text }) },
      hash('md5', text),
    ],
    [
      "graphql-codegen's, by SHA-1",
      { 'persisted-documents.json': JSON.stringify({ [hash('sha1', text)]: text }) },
      hash('sha1', text),
    ],
    ['a folder of documents, by the name of the file', { 'shop/listed.graphql': text }, 'listed'],
  ])('are read from %s', async (_, files, id) => {
    const server = await serving(files, { mode: 'only' });
    for (const documentId of [id, `sha256:${sha256(text)}`])
      expect((await server.query({ documentId })).body).toEqual(answer);
    const url = `${server.graphqlUrl}?documentId=${id}`;
    expect(await (await fetch(url)).json()).toEqual(answer);
    // Apollo's clients name a listed document as they do a registered one.
    const extensions = { persistedQuery: { version: 1, sha256Hash: id } };
    expect((await server.query({ extensions })).body).toEqual(answer);
    expect((await server.query({ query: text, extensions })).body).toEqual(answer);
    expect((await server.query({ query: text })).body).toEqual(answer);
    expect((await server.query([{ documentId: id }])).body).toEqual([answer]);
  });

  test('may be a manifest alone, named as a file', async () => {
    const file = join(folderOf({ 'all.json': JSON.stringify({ one: text }) }), 'all.json');
    const server = await startModules('resolvers', lone({ graphql: { documents: { path: file } } }));
    onTestFinished(() => server.stop());
    expect((await server.query({ documentId: 'one' })).body).toEqual(answer);
  });

  test('an id with the text of another document is refused', async () => {
    const server = await serving({ 'listed.graphql': text });
    const extensions = { persistedQuery: { version: 1, sha256Hash: 'listed' } };
    const { body } = await server.query({ query: '{ __typename }', extensions });
    expect(codesOf(body)).toEqual(['PERSISTED_QUERY_MISMATCH']);
  });

  test('keep the limits of all documents, unless the operator exempts them', async () => {
    const deep = { 'deep.graphql': '{ user(id: 1) { orders { user { orders { id } } } } }' };
    expect(await complaint(deep, { maxDepth: 3 })).toContain(
      'deep.graphql, line 1, column 42: The operation has 5 levels',
    );
    const server = await serving(deep, { exempt: true }, { maxDepth: 3 });
    expect(codesOf((await server.query({ documentId: 'deep' })).body)).not.toContain('DOCUMENT_LIMIT_EXCEEDED');
    // Exempt is the document, not the limit.
    const other = '{ user(id: 2) { orders { user { orders { id } } } } }';
    expect(codesOf((await server.query(other)).body)).toEqual(['DOCUMENT_LIMIT_EXCEEDED']);
  });

  test('are read anew at a reload, and a bad one changes nothing', async () => {
    const folder = folderOf({ 'one.graphql': text });
    const config = {
      ...lone({}),
      modules: resolve('resolvers'),
      listen: { port: 0, drainDelay: '0ms' },
      admin: { port: 0 },
      graphql: { documents: { mode: 'only', path: folder } },
    };
    const running = await FileGateway.start(config);
    onTestFinished(() => running.stop());
    const ask = async (documentId: string) => {
      const response = await fetch(`${running.url}/graphql?documentId=${documentId}`);
      return (await response.json()) as GraphqlBody;
    };
    expect(codesOf(await ask('two'))).toEqual(['DOCUMENT_NOT_TRUSTED']);
    write(folder, { 'two.graphql': 'query Two { __typename }' });
    expect(await running.reload()).toMatchObject({ ok: true });
    expect(await ask('two')).toEqual(answer);
    write(folder, { 'three.graphql': '{ nothing }' });
    const { ok, error } = await running.reload();
    expect([ok, error]).toEqual([false, expect.stringContaining('three.graphql, line 1, column 3')]);
    expect(await ask('two')).toEqual(answer);
  });
});

describe('Documents that cannot be trusted', () => {
  test('are named with their file and place, all of them at once', async () => {
    const message = await complaint({
      'a.graphql': '{ nothing }',
      'b.graphql': 'query {',
      'manifest.json': apollo([{ id: 'c', name: 'Gone', body: '{ user { id } }' }]),
    });
    expect(message).toMatch(/a\.graphql, line 1, column 3: Cannot query field "nothing"/);
    expect(message).toMatch(/b\.graphql, line 1, column 8: Syntax Error/);
    expect(message).toMatch(/manifest\.json \(Gone\), line 1, column 3:/);
  });

  test.each<[Files, RegExp]>([
    [{ 'm.json': '{' }, /m\.json is not JSON/],
    [{ 'm.json': '["a"]' }, /m\.json is no manifest/],
    [{ 'm.json': '{ "a": 1 }' }, /m\.json is no manifest: a/],
    [{ 'm.json': apollo([{ id: 'a' }]) }, /operations\.0\.body/],
    [{ 'm.json': JSON.stringify({ 'a b': text }) }, /'a b' cannot be an id/],
    [{ 'a.graphql': text, 'deep/a.graphql': '{ __typename }' }, /both have the id a\. Fix: rename one/],
    [{ 'README.md': '' }, /has no documents/],
  ])('for their list: %j', async (files, wrong) => {
    expect(await complaint(files)).toMatch(wrong);
  });

  test('are found by `weir check`', { timeout: 60_000 }, async () => {
    const project = createProject({
      ...stock,
      'gateway.yaml': `${stock['gateway.yaml']}graphql: { documents: { mode: only, path: ./operations } }\n`,
      'operations/item.graphql': '{ item(sku: "1") { lost } }',
    });
    const { status, stderr } = await project.weir('check');
    expect([status, stderr]).toEqual([
      1,
      expect.stringMatching(/operations\/item\.graphql, line 1, column 20: .*"lost"/),
    ]);
  });

  test('have to be somewhere: a path to nothing, and mode `only` without one, are errors of the configuration', async () => {
    const opened = (documents: object) =>
      openProject({
        config: 'test.yaml',
        text: JSON.stringify(lone({ graphql: { documents } })),
        modules: 'resolvers',
      });
    await expect(opened({ path: './nowhere' })).rejects.toThrow(/names a file or folder that does not exist/);
    await expect(opened({ mode: 'only' })).rejects.toThrow(/nothing but the documents there is run/);
  });
});

describe('Mode `only`', () => {
  test('refuses all other documents by a code of its own, and registers none', async () => {
    const server = await serving({ 'listed.graphql': text }, { mode: 'only' });
    const query = '{ __typename }';
    const extensions = { persistedQuery: { version: 1, sha256Hash: sha256(query) } };
    for (const request of [{ query }, { query, extensions }, { extensions }, { documentId: 'unknown' }]) {
      const { status, body } = await server.query(request);
      expect([status, codesOf(body)]).toEqual([403, ['DOCUMENT_NOT_TRUSTED']]);
    }
    const { body } = await server.query([{ query }, { documentId: 'listed' }]);
    expect((body as unknown as GraphqlBody[]).map(codesOf)).toEqual([['DOCUMENT_NOT_TRUSTED'], []]);
  });
});

describe('Mode `log`', () => {
  test('runs them, and counts them in a metric and, by operation and consumer, in the log', async () => {
    const server = await serving({ 'listed.graphql': text }, { mode: 'log' });
    const query = 'query New { __typename }';
    for (let count = 0; count < 3; count++) expect((await server.query({ query })).body).toEqual(answer);
    await server.query({ documentId: 'listed' });
    const metrics = await (await fetch(`${server.adminUrl}/metrics`)).text();
    expect(metrics).toContain('weir_graphql_documents_total{weir_document_source="text"} 3');
    expect(metrics).toContain('weir_graphql_documents_total{weir_document_source="trusted"} 1');
    await server.gateway.stop();
    expect(server.log.find(({ msg }) => msg === 'documents that are not trusted')).toMatchObject({
      count: 3,
      documents: [{ operation: 'New', hash: sha256(query), consumer: 'anonymous', count: 3 }],
      others: 0,
    });
  });
});

describe('docs/trusted-documents.md', () => {
  const blocks = fencedBlocks(readFileSync(resolve('docs/trusted-documents.md'), 'utf8'));

  test('shows configurations and manifests that are taken as they stand', async () => {
    const manifests = blocks.filter(({ info }) => info.startsWith('json '));
    const files = Object.fromEntries(manifests.map((block) => [block.info.split(' ')[1]!, block.text]));
    const folder = folderOf({ 'operations/one.graphql': text, ...files });
    const configs = blocks.filter(({ info }) => info === 'yaml');
    expect([configs.length, manifests.length]).toEqual([2, 2]);
    for (const { text: yaml } of configs) {
      const merged = `${yaml}\nupstreams: ${JSON.stringify(lone({}).upstreams)}\n`;
      const project = await openProject({ config: join(folder, 'gateway.yaml'), text: merged, modules: 'resolvers' });
      expect(inspect(project).trusted.size).toBeGreaterThan(0);
    }
  });
});
