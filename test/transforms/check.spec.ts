import { assert, constantFrom, gen, nat, property } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkTransform, defineTransform, type TransformSample } from '#resolvers/index.ts';
import { ordersV2ToV1 } from '#resolvers/orders/v2.ts';
import { misfit } from '#upstreams/transforms/json-schema.ts';
import { madeUp, type Draw } from '#upstreams/transforms/made-up.ts';
import { Transform, type TransformDefinition } from '#upstreams/transforms/transform.ts';
import { createProject } from '../cli/project.ts';
import { thingsV2ToV1 } from '../fixtures/versioned/registry.ts';

/** Numbers of fast-check, so that what fails is shrunk and can be told again by its seed. */
const drawing = gen().map(
  (next): Draw =>
    (below) =>
      next(nat, { max: below - 1 }),
);

const sound = thingsV2ToV1.definition;

/** The fixture's pair with another part. */
const having = (part: Partial<TransformDefinition>) => new Transform({ ...sound, ...part });

describe('The pair of the orders service', () => {
  test('goes there and back: whatever its documents allow, what comes out fits, and nothing is lost but what is lossy', () => {
    assert(
      property(drawing, (draw) => {
        expect(
          checkTransform(ordersV2ToV1, { runs: 1, draw }).filter((problem) => !problem.includes('is lost')),
        ).toEqual([]);
      }),
      { numRuns: 25 },
    );
    expect(checkTransform(ordersV2ToV1)).toEqual([]);
  });

  test('keeps every order whole, whatever it holds', () => {
    const order = ordersV2ToV1.to.get('GET /orders/{id}')!.responses.get('200')!;
    const taken = ordersV2ToV1.take({
      operation: 'GET /orders/{id}',
      params: { id: '1' },
      query: {},
      headers: {},
      body: undefined,
    });
    assert(
      property(drawing, (draw) => {
        const v1 = madeUp(order, draw, ordersV2ToV1.to.resolve) as OrderV1;
        const { body } = ordersV2ToV1.bring(taken, { status: 200, headers: {}, body: v1 });
        expect(body).toEqual({
          id: v1.order_id,
          userId: v1.customer.customer_id,
          placedAt: v1.placed_at,
          state: v1.state.toUpperCase(),
          items: v1.lines.map((line) => ({
            productId: line.product_ref,
            quantity: line.qty,
            unitPrice: { amount: Number(line.unit_price_cents), currency: v1.totals.currency },
          })),
          total: { amount: Number(v1.totals.gross_cents), currency: v1.totals.currency },
          tax: { amount: Number(v1.totals.tax_cents), currency: v1.totals.currency },
        });
      }),
    );
  });

  test('without its lossy entries is found out, each loss by its JSON pointer', () => {
    const { definition } = ordersV2ToV1;
    expect(checkTransform(new Transform({ ...definition, lossy: ['/response/**/line_no'] }))).toEqual(
      [
        'GET /orders 200: /response/body/orders/*/totals/net_cents',
        'POST /orders 201: /response/body/totals/net_cents',
        'GET /orders/{id} 200: /response/body/totals/net_cents',
        'PATCH /orders/{id} 200: /response/body/totals/net_cents',
      ].map((pointer) => `${pointer} is lost on the way to v2; map it, or list it under lossy`),
    );
  });
});

describe('A transform that is checked', () => {
  test('is told of what it throws', () => {
    const request = () => {
      throw new Error('no such thing');
    };
    expect(checkTransform(having({ request }))).toContain('GET /things/{id}: request throws: no such thing');
    const response = () => {
      throw new Error('no such answer');
    };
    expect(checkTransform(having({ response }))).toContain('GET /things 200: response throws: no such answer');
  });

  test('is told of what is lost of a request: parameters, query, body', () => {
    const request: TransformDefinition['request'] = (asked) => {
      const sent = sound.request(asked);
      if (sent.operation === 'GET /things') return { ...sent, query: { ids: sent.query!.ids } };
      return asked.operation === 'POST /things'
        ? { ...sent, body: { thing_name: 'same' } }
        : { ...sent, params: { thing_id: '1' } };
    };
    expect(checkTransform(having({ request })).map((problem) => problem.split(' is lost')[0])).toEqual([
      'GET /things: /request/query/first',
      'POST /things: /request/body/name',
      'POST /things: /request/body/size',
      'GET /things/{id}: /request/params/id',
    ]);
    const lossy = ['/request/query/first', '/request/body/*', '/request/params/id'];
    expect(checkTransform(having({ request, lossy }))).toEqual([]);
  });

  test('is told of what does not fit the document that it is for', () => {
    const request: TransformDefinition['request'] = (asked) => ({
      ...sound.request(asked),
      ...(asked.body !== undefined && { body: {} }),
    });
    expect(checkTransform(having({ request }))).toContain(
      "POST /things: the body for v1 does not fit at '/thing_name': expected a value, which is required",
    );
    const response: TransformDefinition['response'] = (said, asked) => ({
      ...sound.response(said, asked),
      status: 299,
    });
    expect(checkTransform(having({ response }))).toContain(
      'GET /things 200: its document of v2 has no status 299 for GET /things',
    );
    const shape: TransformDefinition['response'] = ({ status, body }) => ({ status, body });
    expect(checkTransform(having({ response: shape }))).toContain(
      "GET /things 200: the body for v2 does not fit at '/items': expected a value, which is required",
    );
  });

  test('is told of samples that come out otherwise', () => {
    const samples: TransformSample[] = [
      { request: { operation: 'GET /things', query: { first: '3' } }, becomes: { query: { limit: '4' } } },
      { request: { operation: 'GET /nothing' } },
      {
        request: { operation: 'GET /things/{id}', params: { id: '1' } },
        answer: { status: 200, body: { thing_name: 'box' } },
        gives: { status: 200, body: { name: 'bag' } },
      },
    ];
    expect(checkTransform(having({ samples }))).toEqual([
      'samples[0].becomes.query is {"limit":"4"}, but it came out as {"limit":"3"}',
      'samples[1]: GET /nothing is no operation of its document',
      'samples[2].gives.body is {"name":"bag"}, but it came out as {"name":"box"}',
    ]);
  });

  test('is told the same each time', () => {
    const lossless = new Transform({ ...ordersV2ToV1.definition, lossy: [] });
    expect(checkTransform(lossless)).toEqual(checkTransform(lossless));
  });
});

describe('Values that are made up', () => {
  test('fit their schema, whatever it is', () => {
    const { to, from } = ordersV2ToV1;
    const schemas = [to, from].flatMap((document) =>
      document.operations.flatMap(({ body, responses }) =>
        [body, ...responses.values()].flatMap((schema) => (schema ? [{ schema, resolve: document.resolve }] : [])),
      ),
    );
    assert(
      property(drawing, constantFrom(...schemas), (draw, { schema, resolve }) => {
        expect(misfit(schema, madeUp(schema, draw, resolve), resolve)).toBeUndefined();
      }),
    );
  });

  test('say so when a pattern is beyond them', () => {
    const never = () =>
      madeUp(
        { type: 'string', pattern: '^[A-Z]{2}-[0-9]{9}$' },
        () => 0,
        (schema) => schema,
      );
    expect(never).toThrow(/no text comes to mind that fits .*; write examples/);
    const examples = ['DE-123456789'];
    expect(
      madeUp(
        { type: 'string', pattern: '^[A-Z]{2}-[0-9]{9}$', examples },
        () => 0,
        (schema) => schema,
      ),
    ).toBe(examples[0]);
  });
});

test('weir check fails for a field that a module loses, with its JSON pointer', async () => {
  const document = (field: string) =>
    JSON.stringify({
      openapi: '3.1.0',
      info: { title: 'a', version: '1' },
      paths: {
        '/a': {
          get: {
            responses: {
              200: {
                description: 'a',
                content: {
                  'application/json': {
                    schema: {
                      type: 'object',
                      required: [field],
                      properties: { [field]: { type: 'string' }, lost: { type: 'integer' } },
                    },
                  },
                },
              },
            },
          },
        },
      },
    });
  const project = createProject({
    'gateway.yaml': 'modules: ./resolvers\nupstreams: { a: { endpoints: [http://127.0.0.1:9] } }\n',
    'resolvers/registry.ts': "import { a } from './a/module.ts';\n\nexport const modules = [a];\n",
    'resolvers/a/v1.json': document('old'),
    'resolvers/a/v2.json': document('new'),
    'resolvers/a/module.ts': `import { defineModule, defineTransform, defineUpstream } from 'weir';

const pair = defineTransform({
  name: 'a-v2-to-v1',
  from: 'v2',
  to: 'v1',
  documents: { from: new URL('v2.json', import.meta.url), to: new URL('v1.json', import.meta.url) },
  request: ({ operation }) => ({ operation }),
  response: ({ status, body }) => ({ status, body: { new: (body as { old: string }).old } }),
});

export const a = defineModule({
  name: 'a',
  owner: 'team-a',
  upstreams: { a: defineUpstream(import.meta, { health: { path: '/health' } }) },
  transforms: [pair],
});
`,
  });
  const { status, stderr } = await project.weir('check');
  expect([status, stderr]).toEqual([
    1,
    "error: The transform 'a-v2-to-v1' of module 'a': GET /a 200: /response/body/lost is lost on the way to v2; map it, or list it under lossy.\n",
  ]);
}, 60_000);

test('A document that is not there is said where the transform is defined', () => {
  const from = new URL('nowhere.yaml', import.meta.url);
  expect(() => defineTransform({ ...sound, documents: { from, to: from } })).toThrow(/nowhere\.yaml/);
});

interface OrderV1 {
  readonly order_id: string;
  readonly customer: { readonly customer_id: string };
  readonly placed_at: string;
  readonly state: string;
  readonly lines: readonly { readonly product_ref: string; readonly qty: number; readonly unit_price_cents: string }[];
  readonly totals: { readonly gross_cents: string; readonly tax_cents: string; readonly currency: string };
}
