import { createClient } from 'graphql-ws';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { startShopGateway, type ShopGateway } from '../graphql/shop-gateway.ts';
import { send, until } from '../support/raw-client.ts';

let gateway: ShopGateway;

beforeAll(async () => {
  gateway = await startShopGateway();
});

afterAll(() => gateway.stop());

async function debug(kind: string, target: string): Promise<void> {
  const body = JSON.stringify({ kind, target, action: 'debug', by: 'anna' });
  const headers = { 'content-type': 'application/json' };
  const answer = await send(`${gateway.adminUrl}/admin/overrides`, { method: 'POST', body, headers });
  expect(answer.status).toBe(201);
}

const calls = () => gateway.log.filter(({ msg }) => msg === 'upstream call').map(({ upstream }) => upstream);

describe('Debug logging of GraphQL', () => {
  test('shows every call that the fields of an operation made, over HTTP and in a batch', async () => {
    await debug('route', '/graphql');
    await gateway.query('{ users(first: 2) { name orders(first: 1) { id } } }');
    await until(() => gateway.log.some(({ msg }) => msg === 'debug answer'));
    expect(calls()).toEqual(['users', 'orders']);
    expect(gateway.log.find(({ msg }) => msg === 'debug request')).toMatchObject({
      route: '/graphql',
      door: 'graphql',
    });
    await gateway.query([{ query: '{ users(first: 1) { name } }' }, { query: '{ users(first: 3) { name } }' }]);
    await until(() => gateway.log.filter(({ msg }) => msg === 'debug answer').length === 2);
    expect(calls()).toHaveLength(4);
    // Neither a document nor its variables are in any of the lines.
    const lines = gateway.log.filter(({ level }) => level === 'debug');
    expect(JSON.stringify(lines)).not.toContain('first: 2');
  });

  test('shows an operation on a WebSocket that was open before anybody asked', async () => {
    await send(`${gateway.adminUrl}/admin/overrides?action=debug&by=anna`, { method: 'DELETE' });
    const before = calls().length;
    const client = createClient({
      url: gateway.graphqlUrl.replace('http', 'ws'),
      webSocketImpl: WebSocket,
      lazy: false,
    });
    await Array.fromAsync(client.iterate({ query: '{ users(first: 4) { name } }' }));
    expect(calls()).toHaveLength(before);
    await debug('route', '/graphql');
    await Array.fromAsync(client.iterate({ query: '{ users(first: 5) { name } }' }));
    expect(calls().slice(before)).toEqual(['users']);
    await client.dispose();
  });
});
