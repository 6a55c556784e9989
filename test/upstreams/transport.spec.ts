import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { expect, test } from 'vitest';
import { currentPurpose } from '#upstreams/purpose.ts';
import { startShopGateway } from '../graphql/shop-gateway.ts';

test('A connection is opened outside of the call that needs it, which it would else keep for as long as it lasts', async () => {
  const gateway = await startShopGateway();
  const purposes: unknown[] = [];
  const note = () => purposes.push(currentPurpose()?.name);
  // Told of each socket as it is made, by whoever makes it.
  subscribe('net.client.socket', note);
  const { body } = await gateway.query('{ users(first: 2) { orders(first: 1) { items { product { name } } } } }');
  unsubscribe('net.client.socket', note);
  expect(body.errors).toBeUndefined();
  expect(purposes.length).toBeGreaterThan(2);
  expect(new Set(purposes)).toEqual(new Set([undefined]));
  await gateway.stop();
});
