import { describe, expect, test } from 'vitest';
import { createExecution } from '#resolvers/execution.ts';
import { moduleOf } from './harness.ts';

/** Fields that the gateway answers itself, in the schema of the modules. */

describe('A module', () => {
  test('that answers Query.rateLimit is told that the gateway does', () => {
    const module = moduleOf('greedy', 'extend type Query { a: Int }', {
      resolvers: { Query: { a: () => 1, rateLimit: () => ({}) } },
    });
    expect(() => createExecution([module], new Map())).toThrow(
      /module 'greedy' resolves Query\.rateLimit, which the gateway answers itself/,
    );
  });

  test('that defines it, or a type of its name, is told of both places', () => {
    const field = moduleOf('greedy', 'extend type Query { rateLimit: Int }', { resolvers: {} });
    expect(() => createExecution([field], new Map())).toThrow(/"Query\.rateLimit".*Weir's own SDL/);
    const type = moduleOf('greedy', 'extend type Query { a: Int }\ntype RateLimit { a: Int }', {
      resolvers: { Query: { a: () => 1 } },
    });
    expect(() => createExecution([type], new Map())).toThrow(/RateLimit.*Weir's own SDL/);
  });
});
