import { expect, onTestFinished, test } from 'vitest';
import type { UseReport } from '#gateway/uses/uses.ts';
import { askEach, readyWorkers, startFleet } from '../support/fleet.ts';
import { startUpstream } from '../support/upstream.ts';

test('/admin/uses of several processes tells what all of them have seen', async () => {
  const upstream = await startUpstream((_request, response) => void response.end('ok'));
  onTestFinished(() => upstream.close());
  const routes = [{ path: '/things', upstream: 'things', deprecated: { since: '2026-01-01' } }];
  const fleet = await startFleet(upstream.url, { routes });
  onTestFinished(() => fleet.kill());
  await askEach(fleet, await readyWorkers(fleet, 2), '/things');
  const answer = await fetch(`${fleet.adminUrl}/admin/uses?of=/things`);
  const { instances, uses } = (await answer.json()) as UseReport;
  expect(instances).toBe('this');
  expect(uses).toMatchObject([{ what: '/things', consumer: 'anonymous' }]);
  // One at each of the two, at least.
  expect(uses[0]!.count).toBe(upstream.requests.length);
  expect(uses[0]!.count).toBeGreaterThan(1);
}, 60_000);
