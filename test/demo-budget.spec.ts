import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Program } from './support/program.ts';

const root = resolve(import.meta.dirname, '..');

describe('npm run demo:budget', () => {
  let demo: Program;
  let status: number | string;

  beforeAll(async () => {
    demo = new Program(['npm', 'run', '--silent', 'demo:budget'], { cwd: root });
    status = await demo.end();
  }, 240_000);

  afterAll(() => demo.signalAll('SIGKILL'));

  test('finds that each of its claims held, and leaves nothing running', () => {
    expect(demo.stdout).not.toContain('FAILED');
    expect(demo.stdout).toMatch(/^(\d+) of \1 claims held, in \d+ s\.$/m);
    expect(demo.stderr).toBe('');
    expect(status).toBe(0);
    expect(demo.running).toBe(false);
  });

  test('shows what a query costs before anything is called, and the same bucket at both doors', () => {
    expect(claims()).toEqual(
      expect.arrayContaining([
        'no service was called for it',
        'it paid what the services counted',
        'the REST call paid one call from the same bucket',
      ]),
    );
    expect(demo.stdout).toMatch(/users\.orders +orders 1 call at most/);
  });

  test('shows the check that fails on the price, by its own words', () => {
    expect(demo.stdout).toMatch(
      /error: storefront\.graphql#Storefront costs .* users\.orders \(User\.orders\) takes 10 calls instead of 1\./,
    );
  });

  test('shows the counters of the services that stop at the quota, with Redis and without', () => {
    const together = [...demo.stdout.matchAll(/together +(\d+)$/gm)].map(([, total]) => Number(total));
    const [most, further] = [200, 400];
    expect(together).toContain(most);
    expect(together.at(-1)).toBe(further);
    expect(together).toEqual(together.toSorted((a, b) => a - b));
    expect(demo.stdout).toContain('local-share, 2 instances');
  });

  function claims(): string[] {
    return [...demo.stdout.matchAll(/^ {3}ok {5}(.*)$/gm)].map(([, claim]) => claim!);
  }
});
