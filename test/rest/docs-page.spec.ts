import { createContext, runInContext } from 'node:vm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { send } from '../support/raw-client.ts';

// There is no browser here to open the page in: what it would load, run and be allowed to is looked at instead.

let gateway: TestGateway;

beforeAll(async () => {
  gateway = await startGateway({ docs: { title: 'A & <b>' } });
});

afterAll(() => gateway.stop());

const linksOf = (html: string) => [...html.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, link]) => link!);

describe('/docs', () => {
  test('is a page about /openapi.json', async () => {
    const { status, headers, text } = await send(`${gateway.url}/docs`);
    expect([status, headers['content-type']]).toEqual([200, 'text/html; charset=utf-8']);
    expect(text).toContain('<title>A &amp; &lt;b></title>');
    expect(text).toContain('data-document="/openapi.json"');
  });

  test('runs scripts of its own alone, from files, asks nobody but the gateway, and cannot be framed', async () => {
    const { headers, text } = await send(`${gateway.url}/docs`);
    const policy = String(headers['content-security-policy']);
    expect(policy).toMatch(/^default-src 'none'; script-src 'self';/);
    expect(policy).toContain("connect-src 'self'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(text).not.toMatch(/<script>|<style|\son\w+=/);
    expect(headers['x-content-type-options']).toBe('nosniff');
  });

  test('brings all its parts along, for those who have no way to the internet', async () => {
    const { text } = await send(`${gateway.url}/docs`);
    const links = linksOf(text);
    expect(links.length).toBeGreaterThan(3);
    for (const link of links) {
      expect(link).toMatch(/^\/[^/]/);
      const part = await send(gateway.url + link);
      expect([link, part.status]).toEqual([link, 200]);
      expect(part.body.length).toBeGreaterThan(100);
    }
    const styles = (await send(`${gateway.url}/docs/viewer/swagger-ui.css`)).text;
    expect(styles).not.toMatch(/@import|url\(['"]?(?:https?:)?\/\//);
  });

  test('starts the viewer with the document, and sends it to no validator', async () => {
    const script = (await send(`${gateway.url}/docs/viewer/start.js`)).text;
    let options: unknown;
    const window = createContext({
      SwaggerUIBundle: (given: unknown) => (options = given),
      document: { documentElement: { dataset: { document: '/openapi.json' } } },
    });
    runInContext(script, window);
    expect(options).toMatchObject({ url: '/openapi.json', dom_id: '#viewer', validatorUrl: null });
  });

  test('is not sent again to a browser that has it', async () => {
    for (const path of ['/docs', '/docs/viewer/swagger-ui-bundle.js']) {
      const { headers } = await send(gateway.url + path);
      const again = await send(gateway.url + path, { headers: { 'if-none-match': headers.etag } });
      expect([again.status, again.text]).toEqual([304, '']);
    }
  });

  test('serves no other file', async () => {
    for (const name of ['package.json', '..%2fpackage.json', '__proto__', 'swagger-ui-bundle.js.map'])
      expect((await send(`${gateway.url}/docs/viewer/${name}`)).status).toBeGreaterThanOrEqual(400);
  });

  test('can be turned off by itself', async () => {
    const plain = await startGateway({ docs: { page: false } });
    expect((await send(`${plain.url}/docs`)).status).toBe(404);
    expect((await send(`${plain.url}/openapi.json`)).status).toBe(200);
    await plain.stop();
  });
});
