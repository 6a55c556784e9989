import { describe, expect, it } from 'vitest';
import { containing, errorOf, load, placesOf, problemsOf } from './problems.ts';

describe('YAML that cannot be read', () => {
  it.each([
    ['listen: { port: 1', '1:18 '],
    ['listen:\n\tport: 1', '2:1 '],
    ['a: b: c', '1:4 '],
  ])('%j is refused with line and column', (text, place) => {
    expect(placesOf(problemsOf(text))).toEqual([place]);
  });

  it('is quoted nowhere in the message', () => {
    for (const text of [
      'admin: { token: hunter2\nlisten: {',
      '{ listen: {} } hunter2',
      'admin: "hunter2" hunter2',
      '@hunter2',
    ]) {
      expect(errorOf(text).message).not.toContain('hunter2');
    }
  });

  it('asks for quotes around an expression in a flow map', () => {
    expect(problemsOf('listen: { port: ${env.PORT} }')[0]).toMatchObject({
      line: 1,
      fix: 'put the expression in double quotes: "${…}"',
    });
  });

  it('has one document', () => {
    expect(problemsOf('listen: {}\n---\nadmin: {}\n')).toMatchObject([
      { line: 3, message: 'holds more than one YAML document' },
    ]);
  });

  it('writes no key twice, and both places are told', () => {
    expect(problemsOf('upstreams:\n  a: { endpoints: [http://a] }\n  a: { endpoints: [http://b] }')).toMatchObject([
      { path: 'upstreams.a', line: 3, column: 3, message: 'is written twice, first in line 2' },
    ]);
  });

  it('has no tags and no merge keys', () => {
    expect(problemsOf('listen: !include other.yaml')[0]).toMatchObject({ line: 1, column: 9 });
    expect(problemsOf('admin: { port: !!set { a } }')[0]).toMatchObject({ line: 1 });
    expect(problemsOf('upstreams:\n  <<: { a: { endpoints: [http://a] } }')).toMatchObject([
      { path: 'upstreams.<<', line: 2 },
    ]);
  });

  it('is a map', () => {
    expect(problemsOf('- a')).toMatchObject([{ path: '', message: containing('not a list') }]);
    expect(problemsOf('orders')).toMatchObject([{ path: '', message: containing("not 'orders'") }]);
  });

  it('is bounded in depth', () => {
    expect(problemsOf(`listen: ${'['.repeat(50)}${']'.repeat(50)}`)).toMatchObject([
      { message: 'is nested more than 32 levels deep' },
    ]);
    expect(problemsOf('['.repeat(20_000))[0]?.message).toBe('is nested too deeply to be read');
  });

  it('is bounded in what aliases make of it, and quickly', () => {
    const levels = Array.from(
      { length: 12 },
      (_, level) =>
        `  l${level}: &l${level} [${
          level === 0
            ? '1'
            : Array(9)
                .fill(`*l${level - 1}`)
                .join(', ')
        }]`,
    );
    expect(problemsOf(`telemetry:\n${levels.join('\n')}`)).toMatchObject([
      { message: 'has more than 100000 values, aliases written out' },
    ]);
  });

  it('has no alias of nothing, nor of itself', () => {
    expect(problemsOf('upstreams: { a: *nothing }')).toMatchObject([
      { path: 'upstreams.a', message: containing('&nothing') },
    ]);
    expect(problemsOf('upstreams: { a: &a { endpoints: *a } }')[0]).toMatchObject({
      path: 'upstreams.a.endpoints',
      message: containing('&a'),
    });
  });
});

describe('YAML that can be read', () => {
  it('may be empty', () => {
    expect(load('').config.listen).toMatchObject({
      host: '127.0.0.1',
      port: 4000,
      headersTimeout: 10_000,
      maxBodyBytes: 1024 ** 2,
    });
    expect(load('# nothing yet\n').hash).toBe(load('').hash);
  });

  it('may share a value by anchor and alias', () => {
    const { upstreams } = load(
      'upstreams:\n  a: { endpoints: [http://a], retry: &r { attempts: 0 } }\n  b: { endpoints: [http://b], retry: *r }',
    ).config;
    expect(upstreams.b?.retry.attempts).toBe(0);
  });

  it('tells configurations apart by their hash, but not by their layout', () => {
    expect(load('listen: { port: 1 }').hash).toBe(load('# a comment\nlisten:\n  port: 1\n').hash);
    expect(load('listen: { port: 1 }').hash).not.toBe(load('listen: { port: 2 }').hash);
  });
});
