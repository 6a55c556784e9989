import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { rewritesNumbers } from '#upstreams/client/json.ts';

test.each(['10.00', '1e3', '1E+3', '-0', '0.10', '9007199254740993', '1e400', '123456789012345678'])(
  'A number written as %s would be written in another way',
  (number) => {
    for (const text of [number, `[1,${number}]`, `{"a":{"b":${number}}}`, `{ "a" : ${number} }`])
      expect(rewritesNumbers(Buffer.from(text))).toBe(true);
  },
);

test('What only looks like one, in a string, is not written in another way', () => {
  const texts = [
    '2026-01-15T10:00:00Z',
    '0e1a3b5c-7d9f-4e2a-8b6c-1d3e5f709080',
    'sku-007',
    '3E',
    'v1.10',
    '4111111111111111',
  ];
  for (const text of [...texts, 'a "quoted" 1.0', '\\', '\\" 1.0'])
    expect(rewritesNumbers(Buffer.from(JSON.stringify({ [text]: [text, 1, -2.5, 1e21, 1.5e-7] })))).toBe(false);
});

test('What JavaScript has written it writes again just so', () => {
  fc.assert(
    fc.property(fc.json(), (json) => {
      expect(rewritesNumbers(Buffer.from(JSON.stringify(JSON.parse(json))))).toBe(false);
    }),
  );
});
