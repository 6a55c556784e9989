import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { errorCodes, errorRow } from '#core/errors.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { send } from '../support/raw-client.ts';

let gateway: TestGateway;

beforeAll(async () => {
  gateway = await startGateway({});
});

afterAll(() => gateway.stop());

describe('The pages that the type of a problem opens', () => {
  test.each(errorCodes)('%s says what it means, whether to try again, and what to do', async (code) => {
    const page = await send(`${gateway.url}/docs/errors/${code}`);
    expect([page.status, page.headers['content-type']]).toEqual([200, 'text/html; charset=utf-8']);
    expect(page.text).toContain(errorRow(code).title);
    expect(page.text).toMatch(/What it means[^]*Is it worth trying again\?[^]*What to do/);
    expect(page.headers['x-request-id']).toBeDefined();
    expect(page.headers).not.toHaveProperty('x-powered-by');
  });

  test('are listed', async () => {
    const { text } = await send(`${gateway.url}/docs/errors`);
    for (const code of errorCodes) expect(text).toContain(`href="/docs/errors/${code}"`);
  });

  test('tell of a code that does not exist, without repeating it', async () => {
    const page = await send(`${gateway.url}/docs/errors/%3Cscript%3E`);
    expect(page.status).toBe(404);
    expect(page.text).not.toContain('script');
  });

  test('can be asked for their head', async () => {
    const page = await send(`${gateway.url}/docs/errors/INTERNAL`, { method: 'HEAD' });
    expect([page.status, page.text]).toEqual([200, '']);
    expect(Number(page.headers['content-length'])).toBeGreaterThan(100);
  });
});
