import { serverAudits } from 'graphql-http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startLoneGateway, type GraphqlServer } from './shop-gateway.ts';

describe('GraphQL over HTTP, by the audits of graphql-http', () => {
  let gateway: GraphqlServer;

  beforeAll(async () => {
    gateway = await startLoneGateway();
  });

  afterAll(() => gateway.stop());

  const audits = serverAudits({ url: () => gateway.graphqlUrl });

  test('are all here', () => {
    expect(audits.length).toBeGreaterThan(60);
  });

  test.each(audits.map((audit) => [audit.id, audit.name, audit] as const))(
    '%s: the server %s',
    async (_id, _name, audit) => {
      const result = await audit.fn();
      expect(result.status === 'ok' ? 'ok' : `${result.status}: ${result.reason}`).toBe('ok');
    },
  );
});
