import { expect, test } from 'vitest';
import { startGateway } from '../support/gateway.ts';
import { startUpstream } from '../support/upstream.ts';
import { weirAt } from './running.ts';

test('weir spend prints who spends what on which upstream', async () => {
  const upstream = await startUpstream((_request, response) => response.end('ok'));
  const gateway = await startGateway({
    upstreams: { orders: { endpoints: [upstream.url], weight: 2 } },
    routes: [{ name: 'orders', path: '/orders{/*rest}', upstream: 'orders' }],
  });
  try {
    const weir = weirAt(gateway.adminUrl);
    expect((await weir('spend')).stdout).toMatch(
      /^Since \d\d:\d\d UTC this instance spent 0 on 0 calls to upstreams\.\n$/,
    );
    await (await fetch(`${gateway.url}/orders/1`)).text();
    const { stdout, status } = await weir('spend', '--split', 'consumer,upstream');
    expect(status).toBe(0);
    expect(stdout).toMatch(/this instance spent 2 on 1 calls/);
    expect(stdout).toMatch(/CONSUMER +UPSTREAM +CALLS +COST +SHARE\n +anonymous +orders +1 +2 +100 %/);
    expect(JSON.parse((await weir('spend', '--minutes', '60', '--json')).stdout)).toMatchObject({
      minutes: 60,
      cost: 2,
    });
    const wrong = await weir('spend', '--top', 'many');
    expect([wrong.status, wrong.stderr]).toEqual([1, expect.stringContaining('top: write a number from 1 to 500')]);
  } finally {
    await gateway.stop();
    await upstream.close();
  }
});
