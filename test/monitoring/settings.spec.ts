import { describe, expect, test } from 'vitest';
import { load, placesOf, problemsOf } from '../config/problems.ts';

const upstream = 'upstreams: { a: { endpoints: [http://a] } }';
const routes =
  'routes: [{ name: orders, path: /o, upstream: a }, { path: "/v1{/*rest}", host: API.example.com, upstream: a }]';

function slo(objectives: string): string {
  return `${upstream}\n${routes}\nslo: [${objectives}]\n`;
}

/** What is said of one wrong value. */
function remarkOn(objectives: string): string {
  const [problem, ...others] = problemsOf(slo(objectives));
  expect(others).toEqual([]);
  return `${problem?.path}: ${problem?.message}. ${problem?.fix}`;
}

describe('slo', () => {
  test('is an objective for all requests over 30 days, unless it says more', () => {
    expect(load(slo('{ name: all, availability: 0.999 }')).config.slo).toEqual([
      { name: 'all', availability: 0.999, graphql: false, window: 30 * 86_400_000 },
    ]);
    expect(load(upstream).config.slo).toEqual([]);
  });

  test('takes routes by name, by host and path where they have none, and those of modules', () => {
    const some = '{ name: some, availability: 0.99, routes: [orders, "api.example.com/v1{/*rest}", stock] }';
    const modules = [{ name: 'stock', upstreams: {}, routes: [{ name: 'stock', path: '/s', upstream: 'a' }] }];
    expect(load(slo(some), { modules }).config.slo[0]?.routes).toHaveLength(3);
    expect(remarkOn('{ name: some, availability: 0.99, routes: [order] }')).toBe(
      "slo[0].routes[0]: 'order' names a route that nothing defines. did you mean orders?",
    );
    expect(remarkOn('{ name: some, availability: 0.99, routes: [basket] }')).toBe(
      "slo[0].routes[0]: 'basket' names a route that nothing defines. write the name of a route: orders, api.example.com/v1{/*rest}",
    );
  });

  test.each([
    ['6ms', '5ms or 10ms'],
    ['600ms', '500ms or 750ms'],
    ['1ms', '5ms'],
    ['12s', '10s'],
  ])('refuses a latency of %s, which the histogram cannot tell, and names those it can: %s', (under, nearest) => {
    expect(remarkOn(`{ name: fast, availability: 0.99, latency: { under: ${under}, target: 0.99 } }`)).toBe(
      `slo[0].latency.under: is no bound of the histogram that is counted by. write ${nearest}`,
    );
  });

  test.each(['5ms', '500ms', '0.5s', '2.5s', '10s'])('takes a latency of %s', (under) => {
    const text = slo(`{ name: fast, availability: 0.99, latency: { under: ${under}, target: 0.99 } }`);
    expect(() => load(text)).not.toThrow();
  });

  test.each(['99.9', '1', '0.89', '0', '"0.99"'])('refuses %s as a share', (share) => {
    expect(remarkOn(`{ name: x, availability: ${share} }`)).toMatch(/^slo\[0\]\.availability: .*0\.9/);
  });

  test('refuses names that are none or used twice, windows out of bounds, no routes at all, and keys that it does not know', () => {
    expect(
      placesOf(
        problemsOf(
          slo(
            '{ name: x, availability: 0.99, window: 6d }, { name: x, availability: 0.99, window: 91d }, { name: "a b", availability: 0.99, routes: [] }, { availability: 0.99, objective: 1 }',
          ),
        ),
      ).map((place) => place.split(' ')[1]),
    ).toEqual([
      'slo[0].window',
      'slo[1].name',
      'slo[1].window',
      'slo[2].name',
      'slo[2].routes',
      'slo[3].name',
      'slo[3].objective',
    ]);
  });
});
