import { describe, expect, test } from 'vitest';
import { costOf, priceOf, schemaFrom } from './pricing.ts';

const sized = '@listSize(slicingArguments: ["first"])';

describe("The budget's law", () => {
  const schema = schemaFrom(`
    extend type Query {
      users(first: Int! = 20): [User!] @upstream(name: "users") ${sized}
      user(id: ID!): User @upstream(name: "users", batch: 100)
      plain(first: Int! = 20): [User!] ${sized}
      pages(first: Int!): [Page!] @upstream(name: "pages") ${sized}
    }
    extend type Mutation { rename(id: ID!): User @upstream(name: "users") }
    extend type Subscription { renamed: User @upstream(name: "users") }
    type Page {
      id: ID!
      users(first: Int! = 20): [User!] @upstream(name: "users", batch: 100) ${sized}
    }
    type User {
      id: ID!
      name: String
      avatar: String @upstream(name: "files")
      orders(first: Int! = 10): [Order!] @upstream(name: "orders", batch: 100) ${sized}
      friends: [User!] @listSize(assumedSize: 5)
    }
    type Order {
      id: ID!
      product: Product @upstream(name: "catalog", batch: 100)
    }
    type Product { id: ID! reviews(first: Int! = 3): [Review!] @upstream(name: "reviews", batch: 50) ${sized} }
    type Review { id: ID! author: User @upstream(name: "users", batch: 100) }
  `);

  test('a root field is one call', () => {
    expect(costOf(schema, '{ users { id } }')).toBe(1);
  });

  test('a field with a batch costs a call for each batch: ceil(n / batch) + w - 1', () => {
    expect(costOf(schema, '{ users(first: 100) { orders { id } } }')).toBe(1 + 1);
    expect(costOf(schema, '{ users(first: 101) { orders { id } } }')).toBe(1 + 2);
    expect(costOf(schema, '{ users(first: 250) { orders { id } } }')).toBe(1 + 3);
  });

  test('a field without one costs a call for each parent', () => {
    expect(costOf(schema, '{ users(first: 250) { avatar } }')).toBe(1 + 250);
  });

  test('objects arrive in as many waves as there are calls above them', () => {
    // 6 calls answer with 150 users, which have 750 orders: their products are asked for in 8 batches, begun 6 times.
    const price = priceOf(schema, '{ pages(first: 550) { users(first: 1) { orders(first: 2) { product { id } } } } }');
    expect(price.fields({}).map(({ path, parents, calls }) => [path, parents, calls])).toEqual([
      ['pages', 1, 1],
      ['pages.users', 550, 6],
      ['pages.users.orders', 550, 6 + 6 - 1],
      ['pages.users.orders.product', 1100, 11 + 11 - 1],
    ]);
  });

  test('750 keys in batches of 100 that arrive in six waves, which took 13 calls, are estimated at no less', () => {
    const document = '{ pages(first: 600) { users(first: 1) { friends { orders(first: 1) { id } } } } }';
    const waves = priceOf(schema, document).fields({});
    expect(waves.find(({ path }) => path === 'pages.users')?.calls).toBe(6);
    // 750 keys of the 3000 that there may be: as many as the law says for 750.
    const law = (keys: number) => Math.ceil(keys / 100) + 6 - 1;
    expect(law(750)).toBe(13);
    expect(waves.find(({ path }) => path === 'pages.users.friends.orders')?.calls).toBe(law(3_000));
  });

  test('a list between them that no upstream answers keeps the waves of what is above', () => {
    expect(costOf(schema, '{ users(first: 10) { friends { orders { id } } } }')).toBe(1 + 1);
    expect(costOf(schema, '{ plain(first: 1000) { orders { id } } }')).toBe(10);
  });

  test('nothing is asked of no parents', () => {
    expect(costOf(schema, '{ users(first: 0) { avatar orders { product { id } } } }')).toBe(1);
  });

  test('each call costs the weight of its upstream', () => {
    const weights = { users: 0.25, orders: 3, files: 0 };
    expect(costOf(schema, '{ users(first: 10) { avatar orders { id } } }', {}, { weights })).toBe(3.25);
  });

  test('costs are told by upstream', () => {
    const { byUpstream } = priceOf(
      schema,
      '{ users(first: 150) { orders { product { reviews { author { id } } } } } }',
    ).estimate({});
    expect(Object.fromEntries(byUpstream)).toEqual({
      users: 1_000 + (45 + 44) * 1_000,
      orders: 2_000,
      catalog: (15 + 1) * 1_000,
      reviews: (30 + 15) * 1_000,
    });
  });

  test('the two names of one field are two fields', () => {
    expect(costOf(schema, '{ a: users { id } b: users { id } }')).toBe(2);
    expect(costOf(schema, '{ users(first: 10) { a: avatar b: avatar } }')).toBe(1 + 20);
  });

  test('a field that is selected twice under one name is one field (GraphQL §6.3.2)', () => {
    expect(costOf(schema, '{ users { id } users { orders { id } } users { orders { id } } }')).toBe(2);
  });

  test('a mutation is priced as a query is, and a subscription as its opening with one event', () => {
    expect(costOf(schema, 'mutation { a: rename(id: 1) { orders { id } } b: rename(id: 2) { orders { id } } }')).toBe(
      4,
    );
    expect(costOf(schema, 'subscription { renamed { orders { id } } }')).toBe(2);
  });

  test('introspection costs nothing', () => {
    const options = { settings: { nodeCost: 10 } };
    expect(costOf(schema, '{ __typename __schema { types { fields { name } } } }', {}, options)).toBe(0);
  });

  test('fields that load the same objects may have them in more waves: those of the calls of all of them', () => {
    // Some of the authors are on their way for `user` already, so their orders are asked for when that has been answered.
    const alone = priceOf(schema, '{ pages(first: 50) { users(first: 1) { orders { id } } } }');
    expect(alone.fields({}).at(-1)).toMatchObject({ path: 'pages.users.orders', calls: 1 });
    const both = priceOf(schema, '{ user(id: 1) { name } pages(first: 50) { users(first: 1) { orders { id } } } }');
    expect(both.fields({}).at(-1)).toMatchObject({ path: 'pages.users.orders', calls: 2 });
  });
});

describe('Fragments and conditions', () => {
  const schema = schemaFrom(`
    extend type Query { thing: Thing  things(first: Int = 4): [Thing!] @upstream(name: "things") ${sized} }
    type Thing { id: ID! owner: Owner @upstream(name: "owners", batch: 10) thing: Thing  other: Thing }
    type Owner { id: ID! badge: String @upstream(name: "badges") }
  `);

  test('a fragment counts where it is spread, however often', () => {
    const fragment = 'fragment F on Thing { owner { id } }';
    expect(costOf(schema, `{ things { ...F ...F ... on Thing { ...F } owner { badge } } } ${fragment}`)).toBe(
      1 + 1 + 4,
    );
  });

  test.each([
    ['@include(if: $on)', { on: true }, 2],
    ['@include(if: $on)', { on: false }, 1],
    ['@skip(if: $on)', { on: true }, 1],
    ['@skip(if: $on)', { on: false }, 2],
    ['@include(if: true)', { on: false }, 2],
    ['@include(if: false)', { on: true }, 1],
    ['@skip(if: true)', { on: true }, 1],
    ['@include(if: $on) @skip(if: $on)', { on: true }, 1],
  ])('%s with %j comes to %i', (directive, variables, cost) => {
    for (const selection of [`owner ${directive} { id }`, `... ${directive} { owner { id } }`, `...F ${directive}`]) {
      const fragment = selection.startsWith('...F') ? 'fragment F on Thing { owner { id } }' : '';
      const used = '__typename @include(if: $on)';
      const document = `query Q($on: Boolean!) { ${used} things(first: 1) { id ${selection} } } ${fragment}`;
      expect(costOf(schema, document, variables)).toBe(cost);
    }
  });

  test('of a field that is selected twice each selection has its own condition', () => {
    const document = `query Q($a: Boolean!, $b: Boolean!) {
      things { id }
      things @include(if: $a) { owner { id } }
      things @include(if: $b) { owner { badge } }
    }`;
    expect(costOf(schema, document, { a: false, b: false })).toBe(1);
    expect(costOf(schema, document, { a: true, b: false })).toBe(2);
    expect(costOf(schema, document, { a: false, b: true })).toBe(6);
    expect(costOf(schema, document, { a: true, b: true })).toBe(6);
  });

  test('a condition whose variable is not known leaves nothing out', () => {
    expect(costOf(schema, 'query Q($a: Boolean!) { things { owner @include(if: $a) { id } } }')).toBe(2);
  });

  test('what is deferred is asked for at once when the first part is complete', () => {
    expect(costOf(schema, '{ thing { id ... @defer { owner { id } } } }')).toBe(1);
    expect(costOf(schema, '{ things { id ... @defer { owner { id } } } }')).toBe(1 + 1);
    expect(costOf(schema, '{ things { id ... @defer(if: false) { owner { id } } } }')).toBe(1 + 1);
  });

  test('what is deferred once more is asked for by each part when that is complete', () => {
    expect(costOf(schema, '{ things { ... @defer { id ... @defer { owner { id } } } } }')).toBe(1 + 4);
    expect(costOf(schema, '{ things { ... @defer { thing { ... @defer { owner { id } } } } } }')).toBe(1 + 4);
  });

  test('a field that is in two parts of an answer may be asked for in both', () => {
    expect(costOf(schema, '{ things { id } ... @defer { things { owner { id } } } }')).toBe(1 + 1 + 1);
  });

  test('the objects of a streamed list come one by one', () => {
    expect(costOf(schema, '{ things @stream(initialCount: 1) { owner { id } } }')).toBe(1 + 4);
  });

  test('fragments that spread each other do not multiply: 2^40 paths are refused as the highest price, at once', () => {
    const levels = Array.from(
      { length: 40 },
      (_, level) => `fragment F${level} on Thing { thing { ...F${level + 1} } other { ...F${level + 1} } }`,
    );
    const document = `{ thing { ...F0 } } ${levels.join(' ')} fragment F40 on Thing { owner { id } }`;
    const price = priceOf(schema, document);
    expect(price.estimate({}).total).toBe(1_000_000_000_000);
    expect(price.fields({}).length).toBeLessThanOrEqual(1_000);
  });

  test('fragments on alternating conditions do not multiply either', () => {
    const levels = Array.from(
      { length: 30 },
      (_, level) => `fragment F${level} on Thing { ...F${level + 1} @include(if: $a) ...F${level + 1} @skip(if: $a) }`,
    );
    const document = `query Q($a: Boolean!) { thing { ...F0 } } ${levels.join(' ')} fragment F30 on Thing { owner { id } }`;
    expect(costOf(schema, document, { a: true })).toBe(1);
    expect(costOf(schema, document, { a: false })).toBe(1);
  });
});

describe('@listSize (IBM, GraphQL Cost Directives, §5)', () => {
  const schema = schemaFrom(`
    input Page { first: Int = 7, ids: [ID!], after: String }
    extend type Query {
      sliced(first: Int = 3, last: Int): [Leafy!] @listSize(slicingArguments: ["first", "last"])
      greatest(first: Int, last: Int): [Leafy!] @listSize(slicingArguments: ["first", "last"], requireOneSlicingArgument: false)
      assumed(first: Int): [Leafy!] @listSize(assumedSize: 30, slicingArguments: ["first"])
      nested(page: Page): [Leafy!] @listSize(slicingArguments: ["page.first"])
      byIds(ids: [ID!]!): [Leafy!] @listSize(slicingArguments: ["ids"])
      connection(first: Int! = 6): Connection @listSize(slicingArguments: ["first"], sizedFields: ["edges", "nodes"])
      unsized: [Leafy!]
      matrix: [[Leafy!]!]! @listSize(assumedSize: 4)
      shared: Shared
    }
    interface Shared { some: [Leafy!] @listSize(assumedSize: 9) }
    type Own implements Shared { some: [Leafy!] }
    type Connection { edges: [Edge!]! nodes: [Leafy!]! others: [Leafy!] total: Int }
    type Edge { node: Leafy }
    type Leafy { id: ID! call: Int @upstream(name: "calls") }
  `);
  const options = { settings: { defaultListSize: 8 } };
  const cost = (selection: string, variables?: Record<string, unknown>, definitions = '') =>
    costOf(schema, `query Q${definitions} { ${selection} }`, variables, options);

  test.each([
    ['the default of the argument', 'sliced { call }', 3],
    ['what the document says', 'sliced(first: 5) { call }', 5],
    ['another of the arguments, before the default of the first', 'sliced(last: 2) { call }', 2],
    ['null as if nothing had been said', 'assumed(first: null) { call }', 30],
    ['the assumed size where no argument is given', 'assumed { call }', 30],
    ['an argument before the assumed size', 'assumed(first: 31) { call }', 31],
    ['the greatest of several', 'greatest(first: 2, last: 6) { call }', 6],
    ['the default size where nothing says how many', 'greatest { call }', 8],
    ['a member of an input object, by a path with dots', 'nested(page: { first: 2 }) { call }', 2],
    ['the default of that member', 'nested(page: { after: "x" }) { call }', 7],
    ['the length of a list', 'byIds(ids: [1, 2, 3, 4]) { call }', 4],
    ['the sized fields of a connection', 'connection(first: 2) { edges { node { call } } nodes { call } }', 4],
    ['but not the others of its lists', 'connection(first: 2) { others { call } }', 8],
    ['a list of which nothing is said as defaultListSize', 'unsized { call }', 8],
    ['the inner list of two as well', 'matrix { call }', 4 * 8],
    ['what an interface says for its types', 'shared { some { call } }', 9],
    ['a size below nothing as if nothing had been said', 'assumed(first: -5) { call }', 30],
  ])('takes %s', (_, selection, expected) => {
    expect(cost(selection)).toBe(expected);
  });

  test.each([
    ['an argument', 'sliced(first: $n) { call }', { n: 11 }, '($n: Int)', 11],
    ['one that is left out, so that the default counts', 'sliced(first: $n) { call }', {}, '($n: Int)', 3],
    ['one that is null', 'assumed(first: $n) { call }', { n: null }, '($n: Int)', 30],
    ['a member of an object', 'nested(page: { first: $n }) { call }', { n: 12 }, '($n: Int)', 12],
    ['an object', 'nested(page: $page) { call }', { page: { first: 13 } }, '($page: Page)', 13],
    ['a list', 'byIds(ids: $ids) { call }', { ids: [1, 2] }, '($ids: [ID!]!)', 2],
    ['a size that no list has', 'sliced(first: $n) { call }', { n: 2_147_483_647 }, '($n: Int)', 1_000_000_000],
  ])('reads a variable: %s', (_, selection, variables, definitions, expected) => {
    expect(cost(selection, variables, definitions)).toBe(expected);
  });

  test('refuses two slicing arguments where one is required (§5.3)', () => {
    expect(() => cost('sliced(first: 1, last: 1) { call }')).toThrow('Query.sliced takes only one of first, last.');
    expect(() => cost('sliced(first: $n, last: 1) { call }', { n: 1 }, '($n: Int)')).toThrow('only one of');
    expect(cost('sliced(first: $n, last: 2) { call }', {}, '($n: Int)')).toBe(2);
  });

  test('prices stay numbers, however deep lists of lists go', () => {
    const deep = schemaFrom(
      `extend type Query { deep: [[[[[[[[[[[[Leafy]]]]]]]]]]]] } type Leafy { deep: [[[[[[[[[Leafy]]]]]]]]] call: Int @upstream(name: "calls") }`,
    );
    const price = priceOf(deep, '{ deep { deep { deep { call } } } }', {
      settings: { defaultListSize: 10_000, nodeCost: 1_000 },
      weights: { calls: 1_000 },
    });
    expect(price.estimate({}).total).toBe(1_000_000_000_000);
  });
});

describe('@cost (IBM, GraphQL Cost Directives, §3)', () => {
  const schema = schemaFrom(`
    input Filter { near: Float @cost(weight: 2), name: String, and: [Filter!], tight: Boolean @cost(weight: -1.5) }
    scalar Picture @cost(weight: 0.5)
    enum Colour @cost(weight: 0.1) { RED GREEN }
    type Heavy @cost(weight: 4) { id: ID! }
    type Light { id: ID! colour: Colour pictures: [Picture!] @listSize(assumedSize: 3) dear: Int @cost(weight: 0.25) }
    extend type Query {
      heavy(first: Int = 2): [Heavy!] @listSize(slicingArguments: ["first"])
      light(first: Int = 2): [Light!] @listSize(slicingArguments: ["first"])
      search(filter: Filter, approximate: Boolean = false @cost(weight: 3), limit: Int): Light @cost(weight: 1)
    }
  `);
  const options = { settings: { nodeCost: 10 } };

  test.each([
    ['an object costs nodeCost', '{ light { id } }', 0.02],
    ['or what its type says', '{ heavy { id } }', 8],
    ['a field costs its weight for each parent', '{ light { dear } }', 0.02 + 0.5],
    ['a scalar its own for each value', '{ light { pictures } }', 0.02 + 3],
    ['an enum too', '{ light { colour } }', 0.02 + 0.2],
    ['an argument its own where it has a value, be it a default', '{ search { id } }', 1 + 3 + 0.01],
    ['but not as null', '{ search(approximate: null) { id } }', 1 + 0.01],
    ['an input field its own', '{ search(approximate: null, filter: { near: 1 }) { id } }', 3 + 0.01],
    [
      'wherever it stands',
      '{ search(approximate: null, filter: { and: [{ near: 1 }, { and: { near: 2 } }] }) { id } }',
      5 + 0.01,
    ],
    ['and may take away', '{ search(approximate: null, filter: { near: 1, tight: true }) { id } }', 1.5 + 0.01],
    [
      'but never below nothing',
      '{ search(approximate: null, filter: { and: [{ tight: true }, { tight: true }] }) { id } }',
      0.01,
    ],
  ])('%s', (_, document, expected) => {
    expect(costOf(schema, document, {}, options)).toBeCloseTo(expected, 6);
  });

  test('arguments that come by variable', () => {
    const document =
      'query Q($filter: Filter, $about: Boolean) { search(filter: $filter, approximate: $about) { id } }';
    expect(costOf(schema, document, { filter: { near: 1, and: [{ near: 2 }] }, about: null }, options)).toBe(5.01);
    expect(costOf(schema, document, {}, options)).toBe(4.01);
  });
});

describe('Interfaces and unions', () => {
  const schema = schemaFrom(`
    union Result = Book | Film | Note
    interface Titled { title: String }
    type Book implements Titled @cost(weight: 0.1) { title: String author: Person @upstream(name: "people", batch: 10) cover: String @upstream(name: "files") }
    type Film implements Titled @cost(weight: 0.2) { title: String director: Person @upstream(name: "people", batch: 10) stills: String @upstream(name: "films", batch: 10) }
    type Note implements Titled { title: String }
    type Person { name: String }
    extend type Query {
      one: Result @upstream(name: "search")
      all(first: Int = 20): [Titled!] @upstream(name: "search") @listSize(slicingArguments: ["first"])
    }
  `);

  test('one object is of one type: the dearest', () => {
    const document = '{ one { ... on Book { cover author { name } } ... on Film { director { name } stills } } }';
    expect(costOf(schema, document, {}, { weights: { people: 1, files: 3 } })).toBeCloseTo(1 + 0.1 + 3 + 1, 6);
    expect(costOf(schema, document, {}, { weights: { films: 5 } })).toBeCloseTo(1 + 0.2 + 1 + 5, 6);
  });

  test('of several each type has batches of its own, and what grows with the objects is that of the dearest', () => {
    const batched = '{ all { ... on Book { author { name } } ... on Film { director { name } } } }';
    expect(costOf(schema, batched)).toBeCloseTo(1 + 20 * 0.2 + 2 + 2, 6);
    const each = '{ all { title ... on Book { cover } ... on Film { title } } }';
    expect(costOf(schema, each)).toBeCloseTo(1 + 20 * 1 + 20 * 0.1, 6);
  });

  test('a type of which nothing is selected weighs as much as it does', () => {
    expect(costOf(schema, '{ all { title } }')).toBeCloseTo(1 + 20 * 0.2, 6);
  });
});
