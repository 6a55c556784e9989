import { buildSchema } from 'graphql';
import { describe, expect, it } from 'vitest';
import { buildTypes } from '#schema/build.ts';
import { compareContracts } from '#schema/diff.ts';
import { lintSchema } from '#schema/lint.ts';
import { mergeSdl } from '#schema/merge.ts';
import { printContract } from '#schema/print.ts';
import { formatProblem } from '#schema/problem.ts';
import { sdlText } from './harness.ts';

/** Merges SDL by module; problems as they are printed. */
function merge(modules: Readonly<Record<string, string>>) {
  const merged = mergeSdl(
    Object.entries(modules).map(([module, text]) => ({ module, documents: [sdlText(module, text)] })),
  );
  if (merged.problems.length > 0) return { problems: merged.problems.map(formatProblem) };
  const { schema, problems } = buildTypes(merged);
  return { schema, problems: problems.map(formatProblem) };
}

function schemaOf(text: string) {
  const { schema, problems } = merge({ shop: text });
  if (!schema || problems.length > 0) throw new Error(problems.join('\n'));
  return schema;
}

const users = 'extend type Query { users: [User!] }\n\ntype User {\n  id: ID!\n  name: String!\n}\n';

describe('modules that conflict', () => {
  it('both define a type', () => {
    const { problems } = merge({ users, orders: 'extend type Query { me: User }\ntype User {\n  id: ID!\n}' });
    expect(problems).toEqual([
      expect.stringMatching(
        /orders\/orders\.graphql:2: module 'orders': There can be only one type named "User" \(the other is in module 'users' at \S+users\/users\.graphql:3\)\. Fix: /,
      ),
    ]);
  });

  it('both define a field of a type, in an extension or in the type', () => {
    const { problems } = merge({
      users,
      orders: 'extend type User {\n  name: String\n  orders: Int\n}',
      reviews: 'extend type User {\n  orders: Int\n}',
    });
    expect(problems).toEqual([
      expect.stringMatching(
        /orders\.graphql:2: module 'orders': Field "User\.name" can only be defined once \(the other is in module 'users' at \S+:5\)/,
      ),
      expect.stringMatching(
        /reviews\.graphql:2: module 'reviews': Field "User\.orders" can only be defined once \(the other is in module 'orders' at \S+:3\)/,
      ),
    ]);
  });

  it('both define an enum value, a directive, an argument twice', () => {
    const { problems } = merge({
      a: 'extend type Query { a(x: Int, x: Int): State }\nenum State { OPEN }\ndirective @mine on FIELD_DEFINITION',
      b: 'extend enum State {\n  OPEN\n}\ndirective @mine on OBJECT\n',
    });
    expect(problems).toHaveLength(3);
    expect(problems.join('\n')).toMatch(
      /b\.graphql:2: module 'b': Enum value "State\.OPEN" can only be defined once \(the other is in module 'a'/,
    );
    expect(problems.join('\n')).toMatch(/b\.graphql:4: module 'b': There can be only one directive named "@mine"/);
    expect(problems.join('\n')).toMatch(/a\.graphql:1: module 'a': Argument "Query\.a\(x:\)" can only be defined once/);
  });

  it('define a root type, which is for everybody to extend', () => {
    const { problems } = merge({ users: 'type Query {\n  users: Int\n}' });
    expect(problems).toEqual([
      expect.stringMatching(
        /users\.graphql:1: .*"Query" \(the other is in Weir's own SDL at schema\/base\.graphql:\d+\).*`extend type`/,
      ),
    ]);
  });
});

describe('SDL that is wrong', () => {
  it.each([
    ['a syntax error', 'extend type Query {\n  a: \n}', /shop\.graphql:3: module 'shop': Syntax Error/],
    [
      'a type that nobody defines',
      'extend type Query {\n  a: Usr\n}',
      /shop\.graphql:2: module 'shop': Unknown type "Usr"/,
    ],
    [
      'an extension of nothing',
      'extend type Query { a: Int }\nextend type Usr { a: Int }',
      /shop\.graphql:2: .*Cannot extend type "Usr"/,
    ],
    [
      'an unknown directive',
      'extend type Query {\n  a: Int @upstraem(name: "a")\n}',
      /shop\.graphql:2: .*Unknown directive "@upstraem"/,
    ],
    [
      'a misspelt argument',
      'extend type Query {\n  a: Int @upstream(name: "a", bach: 3)\n}',
      /shop\.graphql:2: .*no argument "bach"; it has name, batch/,
    ],
    [
      'a missing argument',
      'extend type Query {\n  a: Int @upstream(batch: 3)\n}',
      /shop\.graphql:2: .*"@upstream\(name:\)" of required type/,
    ],
    ['an argument of the wrong type', 'extend type Query {\n  a: Int @upstream(name: 3)\n}', /shop\.graphql:2: /],
    [
      'an interface that is not kept',
      'interface N { id: ID! }\nextend type Query { n: A }\ntype A implements N { a: Int }',
      /shop\.graphql:\d+: .*N\.id/,
    ],
  ])('%s is a problem with its line', (_what, text, message) => {
    expect(merge({ shop: text }).problems.join('\n')).toMatch(message);
  });

  it('is told all at once', () => {
    expect(merge({ a: 'extend type Query { a: X }', b: 'extend type Query { b: Y }' }).problems).toHaveLength(2);
  });

  it('needs a query from somebody', () => {
    expect(merge({ a: 'scalar A' }).problems.join('\n')).toMatch(/Query/);
  });
});

describe('the base schema', () => {
  it('adds no type that no module uses', () => {
    expect(Object.keys(schemaOf('extend type Query { a: Int }').getTypeMap())).not.toContain('PageInfo');
    const schema = schemaOf('extend type Query { a: DateTime, p: PageInfo }\nextend type Mutation { b: Int }');
    expect(Object.keys(schema.getTypeMap())).toEqual(expect.arrayContaining(['DateTime', 'PageInfo', 'Mutation']));
    expect(schema.getSubscriptionType()).toBeUndefined();
  });
});

describe('the contract', () => {
  const contract = (modules: Readonly<Record<string, string>>): string => printContract(merge(modules).schema!);

  it('keeps directives and descriptions, and joins what modules add to a type', () => {
    const orders =
      'extend type User @tag {\n  "Newest first."\n  orders(first: Int! = 10): Int @upstream(name: "orders", batch: 100)\n}\ndirective @tag on OBJECT';
    expect(contract({ users, orders })).toContain(`type User @tag {
  id: ID!
  name: String!
  "Newest first."
  orders(first: Int! = 10): Int @upstream(name: "orders", batch: 100)
}`);
  });

  it('is a schema, and the contract of that schema is the same', () => {
    const printed = contract({
      users,
      shop: 'union Any = User\ninput I { a: Int = 3 }\nenum E { A B @deprecated }\nextend type Query { x(i: I): E @deprecated(reason: "old") any: Any }',
    });
    expect(printContract(buildSchema(printed))).toBe(printed);
  });

  it('is the same whatever the order of the modules, but for the order of fields', () => {
    const a = 'type A { a: Int }\nextend type Query { a: A }';
    const b = 'type B { b: Int }\nextend type Query { b: B }';
    const sorted = (text: string): string[] => text.split('\n').sort();
    expect(sorted(contract({ a, b }))).toEqual(sorted(contract({ b, a })));
  });
});

describe('the comparison of two contracts', () => {
  const before = 'type Query { a(x: Int): Int b: Int! }\nenum E { A }\ninterface N { e: E }';

  it('lists what breaks clients, then what may surprise them', () => {
    const after = 'type Query { a(x: Int!): String b: Int }\nenum E { A B }\ninterface N { e: E }';
    expect(compareContracts(before, after).map(({ effect, type }) => [effect, type])).toEqual([
      ['breaking', 'ARG_CHANGED_KIND'],
      ['breaking', 'FIELD_CHANGED_KIND'],
      ['breaking', 'FIELD_CHANGED_KIND'],
      ['dangerous', 'VALUE_ADDED_TO_ENUM'],
    ]);
  });

  it('has nothing to say of additions', () => {
    expect(compareContracts(before, `${before}\nextend type Query { c: Int }\ntype New { a: Int }`)).toEqual([]);
  });
});

describe('the lint', () => {
  const lint = (text: string) =>
    lintSchema(schemaOf(text)).map(({ rule, severity, where, message }) => ({
      rule,
      severity,
      where: where.replace(/.*\//, ''),
      message,
    }));

  it('wants fields of upstreams to be nullable', () => {
    expect(lint('extend type Query {\n  a: Int! @upstream(name: "a")\n}')).toEqual([
      {
        rule: 'nullable',
        severity: 'error',
        where: 'shop.graphql:2',
        message: expect.stringContaining('Query.a is answered by') as string,
      },
    ]);
  });

  it('prices a field without batch below a list, and not elsewhere', () => {
    const text = `extend type Query {
  one: P @upstream(name: "a")
  many(first: Int! = 20): [P!] @listSize(slicingArguments: ["first"])
}
type P {
  stock: Int @upstream(name: "stock")
  price: Int @upstream(name: "price", batch: 50)
  maker: M
}
type M { site: Int @upstream(name: "site") }`;
    expect(lint(text).map(({ rule, severity, message }) => [rule, severity, message])).toEqual([
      [
        'n-plus-one',
        'warning',
        "P.stock asks 'stock' once for each parent, which below Query.many is 20 calls by default",
      ],
      [
        'n-plus-one',
        'warning',
        "M.site asks 'site' once for each parent, which below Query.many is 20 calls by default",
      ],
    ]);
  });

  it('knows the size of what is below a connection', () => {
    const text = `extend type Query {
  page(first: Int! = 30): C @listSize(slicingArguments: ["first"], sizedFields: ["edges"])
}
type C { edges: [E!]! others: [E!]! }
type E { node: P }
type P { stock: Int @upstream(name: "stock") }`;
    expect(lint(text).map(({ rule, message }) => [rule, message])).toEqual([
      ['n-plus-one', expect.stringContaining('below C.others is any number of calls')],
      ['list-size', expect.stringContaining('C.others is a list of unknown size')],
    ]);
  });

  it('wants a size of every list of objects, and none of a list of leaves', () => {
    const text =
      'extend type Query {\n  a: [P!]\n  b: [Int!]\n  c: [P!] @listSize(assumedSize: 3)\n}\ntype P { a: Int }';
    expect(lint(text).map(({ rule, where }) => [rule, where])).toEqual([['list-size', 'shop.graphql:2']]);
  });

  it('looks through unions and interfaces, and comes to an end in a circle', () => {
    const text = `extend type Query { things: [Thing!] @listSize(assumedSize: 3) }
union Thing = A | B
type A { b: B again: [Thing!] @listSize(assumedSize: 2) }
type B { a: A stock: Int @upstream(name: "stock") }`;
    expect(lint(text).map(({ rule }) => rule)).toEqual(['n-plus-one']);
  });

  it('checks what @listSize names', () => {
    const text = `extend type Query {
  a(first: String): [P!] @listSize(slicingArguments: ["first", "last"])
  b(first: Int): P @listSize(slicingArguments: ["first"], sizedFields: ["a", "x"])
}
type P { a: Int }`;
    expect(lint(text).map(({ message }) => message)).toEqual([
      'Query.a: slicing argument "first" is neither an Int nor a list, slicing argument "last" does not exist',
      'Query.b: "a" is no list of P, "x" is no list of P',
    ]);
  });
});
