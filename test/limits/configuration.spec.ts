import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { inspect } from '#gateway/assembly.ts';
import { shareProblems } from '#gateway/fleet/share.ts';
import { openProject } from '#gateway/project.ts';
import { load, problemsOf } from '../config/problems.ts';
import { fencedBlocks } from '../support/markdown.ts';

/** Limits as they are written: what is taken, and what could never work. */

const things = `upstreams: { things: { endpoints: ['http://127.0.0.1:9'], weight: 2 } }
routes: [{ path: /things, upstream: things }]
`;

const tier = (limit: string) => `${things}tiers: { pro: { limits: [{ name: minute, ${limit} }] } }`;

describe('A limit', () => {
  test.each([
    ['quota: 5, window: 1m', 'algorithm', 'is missing'],
    ['algorithm: sliding-window, quota: 5', 'window', 'is missing'],
    ['algorithm: sliding-window, quota: 5, window: 1m, burst: 9', 'burst', 'is for a token-bucket'],
    ['algorithm: token-bucket, quota: 0, window: 1m', 'quota', ''],
    ['algorithm: token-bucket, unit: requests, quota: 0.5, window: 1m', 'quota', 'counts whole requests'],
    ['unit: concurrent, quota: 5, window: 1m', 'unit', 'knows no time'],
    ['algorithm: leaky, quota: 5, window: 1m', 'algorithm', ''],
    ['algorithm: token-bucket, quota: 999999999.999, window: 30d', 'quota', 'to be counted exactly'],
  ])('is refused: { %s }', (limit, key, message) => {
    expect(problemsOf(tier(limit))).toEqual([
      expect.objectContaining({
        path: `tiers.pro.limits[0].${key}`,
        message: expect.stringContaining(message) as unknown,
      }),
    ]);
  });

  test('has a name of its own in its list', () => {
    const twice = tier('unit: concurrent, quota: 5 }, { name: minute, unit: concurrent, quota: 6');
    expect(problemsOf(twice)).toEqual([
      expect.objectContaining({
        path: 'tiers.pro.limits',
        message: expect.stringContaining('names one limit twice') as unknown,
      }),
    ]);
  });

  test('of an address knows no cost', () => {
    expect(problemsOf(`${things}limits: { perIp: [{ name: ip, unit: cost, quota: 5 }] }`)).not.toEqual([]);
  });
});

async function assembled(text: string): Promise<string> {
  const project = await openProject({ text, config: `${process.cwd()}/test.yaml`, env: {} });
  try {
    inspect(project);
    return '';
  } catch (error) {
    return (error as Error).message;
  }
}

describe('Limits together', () => {
  test('are told apart by name in one answer', async () => {
    const text = `${tier('unit: concurrent, quota: 5')}\nlimits: { global: [{ name: minute, unit: concurrent, quota: 5 }] }`;
    expect(await assembled(text)).toMatch(
      /tiers\.pro\.limits\.0\.name \(.*\): 'minute' is also the name of a limit of limits\.global/,
    );
  });

  test('may have one name in different tiers', async () => {
    const limit = '{ name: minute, unit: concurrent, quota: 5 }';
    expect(await assembled(`${things}tiers: { a: { limits: [${limit}] }, b: { limits: [${limit}] } }`)).toBe('');
  });

  test('let at least the cheapest request through', async () => {
    expect(await assembled(tier('algorithm: sliding-window, quota: 1, window: 1m'))).toMatch(
      /tiers\.pro\.limits\.0\.quota \(.*\): holds 1 upstream calls, and \/things costs 2, so no request could pass\. Fix: write 2 or more\./,
    );
    expect(await assembled(tier('algorithm: sliding-window, quota: 2, window: 1m'))).toBe('');
  });

  test('are shared by workers, unless they share a Redis; a share below one is an error', async () => {
    const text = `listen: { workers: 4 }\n${tier('algorithm: sliding-window, quota: 3, window: 1m')}`;
    const of = async (more: string) =>
      shareProblems(await openProject({ text: text + more, config: `${process.cwd()}/test.yaml`, env: {} }));
    expect(await of('')).toEqual([
      expect.stringMatching(/^tiers\.pro\.limits\.0\.quota \(.*\): 3 is too few for 4 workers/),
    ]);
    expect(await of('\nredis: { url: redis://127.0.0.1:1 }')).toEqual([]);
    const perIp =
      '\nlimits: { perIp: [{ name: ip, unit: concurrent, quota: 2 }] }\nredis: { url: redis://127.0.0.1:1 }';
    expect(await of(perIp)).toEqual([expect.stringMatching(/^limits\.perIp\.0\.quota/)]);
  });
});

const page = readFileSync(resolve(import.meta.dirname, '../../docs/limits.md'), 'utf8');

test.each(fencedBlocks(page).filter(({ info }) => info === 'yaml'))(
  'docs/limits.md, line $line: a configuration that loads and holds together',
  async ({ text }) => {
    expect(() => load(text)).not.toThrow();
    // What is of GraphQL is of modules.
    if (!text.startsWith('graphql:')) expect(await assembled(text)).toBe('');
  },
);
