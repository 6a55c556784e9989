import { getIntrospectionQuery, parse, Source } from 'graphql';
import { describe, expect, test } from 'vitest';
import { WeirError } from '#core/errors.ts';
import { checkDocument } from '#policies/document-limits/document-limits.ts';
import type { DocumentLimits } from '#policies/document-limits/settings.ts';
import { checkTokens } from '#policies/document-limits/tokens.ts';

const limits: DocumentLimits = { maxDepth: 4, maxAliases: 3, maxTokens: 100, maxRootFields: 3, maxDirectives: 2 };
const roomy: DocumentLimits = {
  maxDepth: 100,
  maxAliases: 10_000,
  maxTokens: 100_000,
  maxRootFields: 10_000,
  maxDirectives: 10_000,
};

function refusal(check: () => unknown): { readonly message: string; readonly extensions: unknown } {
  try {
    check();
  } catch (error) {
    if (error instanceof WeirError && error.code === 'DOCUMENT_LIMIT_EXCEEDED') return error;
    throw error;
  }
  throw new Error('It was not refused.');
}

const tokens = (text: string, bounds = limits) => checkTokens(new Source(text), bounds);
const document = (text: string, bounds = limits) => checkDocument(parse(text), bounds);

describe('Tokens', () => {
  test('are counted as the lexer sees them: no comments, no commas, a string is one', () => {
    expect(tokens('{ a(b: "c d e") # f\n , }')).toBe(8);
  });

  test('may be as many as maxTokens and not one more, and the refusal says where the first is that is too many', () => {
    expect(tokens(`{${'a '.repeat(98)}}`)).toBe(100);
    const { message, extensions } = refusal(() => tokens(`{\n${'a '.repeat(98)}\n b}`));
    expect(message).toBe('The document has more than 100 tokens.');
    expect(extensions).toEqual({ limit: 'maxTokens', maximum: 100, line: 3, column: 3 });
  });

  test('stop being read at the limit, however much more there is', () => {
    const bomb = `{${'a '.repeat(5_000_000)}`;
    expect(refusal(() => tokens(bomb)).extensions).toMatchObject({ line: 1, column: 200 });
  });

  test.each(['{', '[', '('])('of %s within itself are refused long before anything recurses over them', (bracket) => {
    const { extensions } = refusal(() => tokens(`{a${bracket.repeat(20_000)}`, roomy));
    expect(extensions).toMatchObject({ limit: 'nesting', maximum: 256 });
  });

  test('that open and close again are no nesting', () => {
    expect(tokens('{a}'.repeat(300), roomy)).toBe(900);
  });

  test('of directives may be as many as maxDirectives, wherever they stand', () => {
    expect(tokens('query @a { b @c }')).toBe(8);
    const { extensions } = refusal(() => tokens('query($v: Int @a) @b { c @d }'));
    expect(extensions).toEqual({ limit: 'maxDirectives', maximum: 2, line: 1, column: 26 });
  });

  test('that are none are left to the parser to report', () => {
    expect(() => tokens('{ a ? }')).toThrow('Syntax Error');
  });
});

describe('The depth of an operation', () => {
  test('is that of its deepest field, of which the refusal says where it is', () => {
    expect(() => document('{ a { b { c { d } } } }')).not.toThrow();
    const { message, extensions } = refusal(() => document('query Deep {\n a { b { c {\n d { e }\n x } } }\n}'));
    expect(message).toBe('The operation "Deep" has 5 levels of fields; at most 4 are allowed.');
    expect(extensions).toEqual({ limit: 'maxDepth', maximum: 4, actual: 5, line: 3, column: 6 });
  });

  test('counts the fields of fragments where they are spread, not the fragments', () => {
    const operation = '{ a { ...F ... on T { ... { c { d } } } } }';
    expect(() => document(`${operation} fragment F on T { b { c { d } } }`)).not.toThrow();
    const deeper = refusal(() => document(`${operation} fragment F on T { b { c { d { e } } } }`));
    expect(deeper.extensions).toMatchObject({ limit: 'maxDepth', actual: 5 });
  });

  test('leaves out introspection, which is answered from memory', () => {
    expect(() => document(getIntrospectionQuery())).not.toThrow();
    expect(() => document('{ __type(name: "A") { fields { type { ofType { ofType { name } } } } } }')).not.toThrow();
  });

  test('is measured in every operation of the document', () => {
    const text = 'query A { a } query B { a { b { c { d { e } } } } }';
    expect(refusal(() => document(text)).message).toContain('"B"');
  });
});

describe('The aliases of an operation', () => {
  test('are counted once for each place where their fragment is spread', () => {
    const text = (spreads: number) => `{ a { ${'...F '.repeat(spreads)} } } fragment F on T { x: b }`;
    expect(() => document(text(3))).not.toThrow();
    expect(refusal(() => document(text(4))).extensions).toEqual({
      limit: 'maxAliases',
      maximum: 3,
      actual: 4,
      line: 1,
      column: 1,
    });
  });

  test('are counted below aliases too', () => {
    expect(refusal(() => document('{ w: a { x: b { y: c { z: d } } } }')).extensions).toMatchObject({ actual: 4 });
  });

  test('of fragments that double one another 200 times are counted in no time', () => {
    const fragments = Array.from(
      { length: 200 },
      (_, index) => `fragment F${index} on T { ...F${index + 1} ...F${index + 1} }`,
    );
    const text = `{ ...F0 } ${fragments.join(' ')} fragment F200 on T { x: a }`;
    const before = performance.now();
    const { extensions } = refusal(() => document(text, { ...roomy, maxRootFields: 10_000 }));
    expect(performance.now() - before).toBeLessThan(1000);
    expect(extensions).toMatchObject({ limit: 'maxRootFields', actual: Number.MAX_SAFE_INTEGER });
  });
});

describe('The root fields of an operation', () => {
  test('are those of its fragments too', () => {
    expect(() => document('{ a b ...F } fragment F on Query { c }')).not.toThrow();
    const { extensions, message } = refusal(() => document('{ a b ...F } fragment F on Query { c ... { d } }'));
    expect(message).toBe('The operation has 4 root fields; at most 3 are allowed.');
    expect(extensions).toMatchObject({ limit: 'maxRootFields', maximum: 3, actual: 4 });
  });
});

describe('Fragments that spread themselves', () => {
  test.each([
    ['directly', '{ ...A } fragment A on Query { a ...A }'],
    [
      'by way of others',
      '{ ...A } fragment A on Query { ...B } fragment B on Query { b { ...C } } fragment C on T { ...A }',
    ],
    ['without being spread anywhere else', '{ a } fragment A on Query { a ...A }'],
  ])('%s are found, and measuring them ends', (_, text) => {
    expect(document(text)).toEqual({ cyclic: true });
  });

  test('are told from fragments that are only spread often', () => {
    expect(
      document('{ ...A ...B } fragment A on Query { a ...C } fragment B on Query { ...C } fragment C on Query { c }'),
    ).toEqual({
      cyclic: false,
    });
  });

  test('and fragments that do not exist are left to validation', () => {
    expect(document('{ ...Nowhere }')).toEqual({ cyclic: false });
  });
});
