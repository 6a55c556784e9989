import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import { createContext, runInContext } from 'node:vm';
import { getOperationAST, parse } from 'graphql';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { readExamples } from '#gateway/graphql/examples.ts';
import { hashOf } from '#policies/auth/api-keys/format.ts';
import { lone, startLoneGateway, startModules, startShopGateway, type ShopGateway } from './shop-gateway.ts';
import { readEvents } from './streams.ts';

const browser = { accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8' };

let gateway: ShopGateway;

beforeAll(async () => {
  gateway = await startShopGateway();
});

afterAll(() => gateway.stop());

describe('GraphiQL', () => {
  test('is what a browser that opens the path of the API gets', async () => {
    const response = await fetch(gateway.graphqlUrl, { headers: browser });
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8');
    const html = await response.text();
    expect(html).toContain('<title>Weir</title>');
    expect(html).toContain('renderYogaGraphiQL');
  });

  test('runs its own scripts and no others, and cannot be framed', async () => {
    const response = await fetch(gateway.graphqlUrl, { headers: browser });
    const policy = response.headers.get('content-security-policy')!;
    const scripts = Array.from(
      (await response.text()).matchAll(/<script>([\s\S]*?)<\/script>/g),
      ([, script]) => script!,
    );
    expect(scripts.length).toBeGreaterThan(0);
    for (const script of scripts)
      expect(policy).toContain(`'sha256-${createHash('sha256').update(script).digest('base64')}'`);
    expect(policy).toMatch(/^default-src 'none'; script-src [^;]*;/);
    expect(policy).not.toMatch(/script-src[^;]*unsafe/);
    expect(policy).toContain("frame-ancestors 'none'");
  });

  test('brings all its parts along, for those who have no way to the internet', async () => {
    const html = await (await fetch(gateway.graphqlUrl, { headers: browser })).text();
    const tags = html.replaceAll(/<(script|style)>[\s\S]*?<\/\1>/g, '');
    expect(tags).toContain('<link rel="icon"');
    expect(tags).not.toMatch(/(?:src|href)="(?!data:)/);
  });

  test('is not sent again to a browser that has it', async () => {
    const etag = (await fetch(gateway.graphqlUrl, { headers: browser })).headers.get('etag')!;
    const again = await fetch(gateway.graphqlUrl, { headers: { ...browser, 'if-none-match': etag } });
    expect([again.status, await again.text()]).toEqual([304, '']);
  });

  test("stands in nobody's way who asks for JSON, or for anything", async () => {
    for (const accept of ['application/json', '*/*']) {
      const response = await fetch(`${gateway.graphqlUrl}?query={__typename}`, { headers: { accept } });
      expect(await response.json()).toEqual({ data: { __typename: 'Query' } });
    }
  });

  test('can be turned off', async () => {
    const plain = await startLoneGateway({ graphql: { graphiql: false } });
    const response = await fetch(`${plain.graphqlUrl}?query={__typename}`, { headers: browser });
    expect(await response.json()).toEqual({ data: { __typename: 'Query' } });
    await plain.stop();
  });
});

describe('GraphiQL with keys for a demonstration', () => {
  const demoKeys = [
    { consumer: 'storefront', tier: 'pro', key: 'demo-"pro"&<1>' },
    { consumer: 'hobby', tier: 'free', key: 'demo-free' },
  ];
  const consumers = demoKeys.map(({ consumer, tier, key }) => ({ id: consumer, tier, keys: [hashOf(key)] }));
  const shown = /<option value="([^"]*)">([^<]*)<\/option>/g;

  async function pageOf(graphqlUrl: string) {
    const response = await fetch(graphqlUrl, { headers: browser });
    const policy = response.headers.get('content-security-policy')!;
    const html = await response.text();
    const markup = html.slice(html.indexOf('<div id="consumer-line">'), html.indexOf('<div id="root">'));
    const [, script = ''] = /<script>([\s\S]*?)<\/script>/.exec(markup) ?? [];
    return { html, policy, markup, script };
  }

  test('offers them by name, and its policy lets the script that sends them run', async () => {
    const server = await startModules('resolvers', lone({ consumers }), { demoKeys });
    onTestFinished(() => server.stop());
    const { markup, policy, script } = await pageOf(server.graphqlUrl);
    expect(Array.from(markup.matchAll(shown), ([, value, text]) => [value, text])).toEqual([
      ['', 'anonymous'],
      ['demo-&quot;pro&quot;&amp;&lt;1>', 'storefront, tier pro'],
      ['demo-free', 'hobby, tier free'],
    ]);
    expect(markup).toContain('data-header="x-api-key"');
    expect(policy).toContain(`'sha256-${createHash('sha256').update(script).digest('base64')}'`);
  });

  test('sends the chosen one with each request, unless a credential is written beside the operation', async () => {
    const server = await startModules('resolvers', lone({ consumers }), { demoKeys });
    onTestFinished(() => server.stop());
    const { script } = await pageOf(server.graphqlUrl);
    const select = { value: '', dataset: { header: 'x-api-key' } };
    // Scripts of a page have no modules; what of a browser this one asks for is here.
    const window = createContext({ fetch, Headers, document: { querySelector: () => select } });
    runInContext(script, window);
    const asked = async (headers: Record<string, string> = {}): Promise<unknown> => {
      const ask = window.fetch as typeof fetch;
      const answer = await ask(`${server.graphqlUrl}?query={__typename}`, { headers });
      if (!answer.ok) return answer.status;
      return (await server.accessOf(answer.headers.get('x-request-id')!)).consumer;
    };
    expect(await asked()).toBeUndefined();
    select.value = 'demo-free';
    expect(await asked()).toBe('hobby');
    select.value = demoKeys[0]!.key;
    expect(await asked()).toBe('storefront');
    expect(await asked({ 'X-Api-Key': 'demo-free' })).toBe('hobby');
    expect(await asked({ 'x-api-key': 'another' })).toBe(401);
  });

  test('shows nothing of a configuration: consumers and their keys alone make no choice', async () => {
    const server = await startModules('resolvers', lone({ consumers }));
    onTestFinished(() => server.stop());
    const { html, markup } = await pageOf(server.graphqlUrl);
    expect(markup).toBe('');
    for (const secret of ['consumer-line', 'storefront', 'demo-', 'x-api-key']) expect(html).not.toContain(secret);
  });
});

describe('The example operations of the shop', () => {
  const examples = readExamples(resolve('resolvers'));

  test('are there, and none where modules have no examples', () => {
    expect(examples.length).toBeGreaterThan(3);
    expect(readExamples(resolve('test/fixtures/graphql'))).toEqual([]);
    expect(readExamples(undefined)).toEqual([]);
  });

  const operations = examples.map((text) => [getOperationAST(parse(text))!.name!.value, text] as const);

  test.each(operations.filter(([, text]) => !text.includes('subscription ')))(
    '%s runs without an error',
    async (_, text) => {
      const { body } = await gateway.query(text);
      expect(body.errors).toBeUndefined();
      expect(JSON.stringify(body.data)).not.toContain('null');
    },
  );

  test.each(operations.filter(([, text]) => text.includes('subscription ')))(
    '%s shows what the mutation does',
    async (_, text) => {
      const response = await fetch(gateway.graphqlUrl, {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
        body: JSON.stringify({ query: text }),
      });
      const events = readEvents(response);
      const first = events.next();
      await expect.poll(async () => (await gateway.shop.orders.counters()).active).toBe(1);
      await gateway.query(operations.find(([, other]) => other.includes('mutation '))![1]);
      expect(JSON.parse((await first).value!.data)).toMatchObject({ data: { orderEvents: { type: 'PLACED' } } });
      await events.return();
    },
  );
});
