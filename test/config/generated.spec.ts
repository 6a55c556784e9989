import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { configurationDocument } from '#gateway/config/document.ts';
import { editorSchema } from '#gateway/config/json-schema.ts';
import { configSchema } from '#gateway/config/schema.ts';
import { load, problemsOf } from './problems.ts';

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

describe('the JSON Schema for editors', () => {
  const written = z.record(z.string(), z.json()).parse(JSON.parse(read('gateway/config/gateway.schema.json')));
  const schema = z.fromJSONSchema(written);
  const upstream = 'upstreams: { a: { endpoints: [http://a] } }';

  it('is what the schemas generate', () => {
    expect(written).toEqual(JSON.parse(JSON.stringify(editorSchema())));
  });

  it.each([
    '{}',
    'listen: { port: 0, maxBodyBytes: 1.5MiB, drainDelay: 0s }',
    'listen: { port: "${env.PORT:-4000}", drainDelay: "${env.DELAY:-5s}", workers: "${env.WORKERS:-1}" }',
    'graphql: { graphiql: "${env.GRAPHIQL:-false}", maxDepth: 3 }',
    'upstreams: { a: { endpoints: [http://a, { url: http://b, weight: 2 }, "${env.A:-http://c}"], health: { path: /h } } }',
    `${upstream}\nroutes: [{ path: /a, upstream: a, methods: [GET], match: { headers: { x-a: "1" } }, timeout: 3s }]`,
    `${upstream}\nroutes: [{ path: /a, upstream: a, fallback: { body: { a: [1, "\${env.B:-b}"] }, headers: { x-a: "1" } } }]`,
    'cors: { origins: ["*"], maxAge: 1h }',
    'telemetry: { otlp: "", sampleRatio: 1, propagation: [b3] }',
  ])('takes what the loader takes: %s', (text) => {
    expect(() => load(text)).not.toThrow();
    expect(schema.safeParse(parse(text)).success).toBe(true);
  });

  it.each([
    'listne: {}',
    'listen: { port: "4000" }',
    'listen: { port: 65536 }',
    'listen: { drainDelay: 30 }',
    'listen: { drainDelay: 30 s }',
    'listen: { workers: 0 }',
    'listen:',
    'listen: { tls: { cert: a } }',
    'redis: { db: 1 }',
    'auth: { default: never }',
    'tiers: { pro: { limits: {} } }',
    'graphql: { introspection: "yes" }',
    'upstreams: { a: {} }',
    'upstreams: { "a b": { endpoints: [http://a] } }',
    'upstreams: { a: { endpoints: [] } }',
    'upstreams: { a: { endpoints: [{ url: http://a, wieght: 1 }] } }',
    'upstreams: { a: { endpoints: http://a } }',
    `${upstream}\nroutes: [{ upstream: a }]`,
    `${upstream}\nroutes: [{ path: /a, upstream: a, methods: [get] }]`,
    `${upstream}\nroutes: [{ path: /a, upstream: a, mirror: 1 }]`,
    `${upstream}\nroutes: [{ path: /a, upstream: a, match: { query: { beta: 1 } } }]`,
    `${upstream}\nroutes: [{ path: /a, upstream: a, fallback: { status: 100 } }]`,
    'telemetry: { propagation: [w3c] }',
  ])('refuses what the loader refuses: %s', (text) => {
    expect(problemsOf(text)).not.toEqual([]);
    expect(schema.safeParse(parse(text)).success).toBe(false);
  });
});

describe('docs/configuration.md', () => {
  const page = read('docs/configuration.md');

  it('is what the schemas generate', () => {
    expect(page).toBe(configurationDocument(read('gateway/config/example.yaml')));
  });

  it('has an example that loads, and that an editor accepts', () => {
    const example = /```yaml\n([^]*?)```/.exec(page)?.[1] ?? '';
    expect(() => load(example, { env: { WEIR_ADMIN_TOKEN: 'a token' } })).not.toThrow();
    expect(z.fromJSONSchema({ ...editorSchema() }).safeParse(parse(example)).error).toBeUndefined();
  });

  it('describes every key', () => {
    const { properties = {} } = z.toJSONSchema(configSchema, { io: 'input', unrepresentable: 'any' });
    for (const [block, child] of Object.entries(properties)) {
      if (typeof child === 'boolean') continue;
      expect(page).toMatch(new RegExp(`^## ${block}|\\| \`${block}\` \\|`, 'm'));
    }
    const lines = page.split('\n').filter((line) => line.startsWith('| `'));
    const bare = lines.filter((line) => / \|\s*\|$/.test(line));
    expect(bare).toEqual([]);
  });
});
