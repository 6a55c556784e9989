/** The gateway's pages in a real browser, over the shop. */
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { launchBrowser } from '../support/browser.ts';
import { startGateway } from '../support/gateway.ts';
import { startShopGateway, type ShopGateway } from '../support/shop.ts';

let shop: ShopGateway;
let browser: Browser;
let page: Page;
/** What the page has said against itself. */
let complaints: string[];
let requests: string[];

/** A busy machine may take long to draw. */
const patience = { timeout: 60_000 };

beforeAll(async () => {
  browser = await launchBrowser();
  shop = await startShopGateway();
}, 120_000);

afterAll(async () => {
  await browser.close();
  await shop.stop();
});

beforeEach(async () => {
  page = await browser.newPage();
  complaints = [];
  requests = [];
  page.setDefaultTimeout(patience.timeout);
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('request', (request) => requests.push(request.url()));
  await page.exposeFunction('weirViolation', (text: string) => void complaints.push(text));
  await page.addInitScript(
    `addEventListener('securitypolicyviolation', (event) => weirViolation(event.violatedDirective + ' ' + event.blockedURI))`,
  );
});

afterEach(() => page.close());

/** What is fetched, but for what the page holds itself. */
const outside = () => requests.filter((url) => !url.startsWith(`${shop.gateway.url}/`) && !/^(data|blob):/.test(url));

/** Runs an expression in the page, whose types are a browser's. */
const inPage = <T>(expression: string) => page.evaluate<T>(expression);

const textOf = (selector: string) => inPage<string>(`document.querySelector('${selector}').textContent`);

/** Swagger UI lets long paths break by spaces without width. */
const shownPaths = async () =>
  (
    await inPage<string[]>(`[...document.querySelectorAll('.opblock-summary-path')].map((path) => path.dataset.path)`)
  ).map((path) => path.replaceAll('\u200B', ''));

/** Opens an operation on the page and sends it. @returns status and body of the answer that the page shows */
async function tryOut(method: string, path: string, inputs: Readonly<Record<string, string>>) {
  const found = `.opblock-${method} .opblock-summary-path[data-path="${path}"]`;
  await page.waitForSelector(found);
  await inPage(
    `document.querySelector('${found}').closest('.opblock').querySelector('.opblock-summary-control').click()`,
  );
  const open = '.opblock.is-open';
  await page.click(`${open} .try-out__btn`);
  for (const [name, text] of Object.entries(inputs))
    await page.fill(`${open} tr[data-param-name="${name}"] input`, text);
  await page.click(`${open} .execute`);
  const answer = `${open} .live-responses-table`;
  await page.waitForSelector(`${answer} .response-col_status`);
  return {
    status: (await textOf(`${answer} tbody .response-col_status`)).trim(),
    text: await textOf(`${answer} tbody .response-col_description`),
  };
}

describe('/docs in Chromium', () => {
  test('shows the operations of every version, and asks nobody but the gateway', patience, async () => {
    await page.goto(`${shop.gateway.url}/docs`);
    await page.waitForSelector('.opblock');
    expect(await shownPaths()).toEqual(
      expect.arrayContaining(['/v1/orders/{id}', '/v2/orders/{id}', '/v2/home/{userId}']),
    );
    expect(outside()).toEqual([]);
    expect(complaints).toEqual([]);
  });

  test('sends a request to the gateway, and shows its answer', patience, async () => {
    await page.goto(`${shop.gateway.url}/docs`);
    await page.waitForSelector('.opblock');
    const { status, text } = await tryOut('get', '/v2/orders/{id}', { id: '7' });
    expect(status).toBe('200');
    expect(text).toMatch(/"id": "7"/);
    expect(text).toContain('x-request-id');
    expect(requests).toContain(`${shop.gateway.url}/v2/orders/7`);
    expect(outside()).toEqual([]);
    expect(complaints).toEqual([]);
  });

  test('shows one version, and leads to the others', patience, async () => {
    const route = (version: string) => ({
      path: `/${version}/things`,
      methods: ['GET'],
      upstream: 'things',
      version: { of: 'things', is: version },
    });
    const versioned = await startGateway({
      upstreams: { things: { endpoints: [shop.shop.users.url] } },
      versions: { things: { by: 'path', known: ['v1', 'v2'] } },
      routes: [route('v1'), route('v2')],
    });
    try {
      await page.goto(`${versioned.url}/docs`);
      await page.waitForSelector('.opblock');
      expect(await shownPaths()).toEqual(['/v1/things', '/v2/things']);
      await page.click('nav[aria-label=Versions] a:text("v2")');
      await page.waitForSelector('.opblock');
      expect(await shownPaths()).toEqual(['/v2/things']);
      expect(requests).toContain(`${versioned.url}/openapi.json?version=v2`);
      expect(complaints).toEqual([]);
    } finally {
      await versioned.stop();
    }
  });

  test('is refused what its policy does not allow', patience, async () => {
    await page.goto(`${shop.gateway.url}/docs`);
    await inPage(
      `{ const script = document.createElement('script'); script.textContent = 'globalThis.injected = true'; document.body.append(script); }`,
    );
    expect(await inPage(`'injected' in globalThis`)).toBe(false);
    expect(complaints.join('\n')).toMatch(/script-src/);
  });
});

describe('GraphiQL in Chromium', () => {
  test('runs an operation, and asks nobody but the gateway', patience, async () => {
    await page.goto(`${shop.gateway.url}/graphql`);
    const answered = page.waitForResponse(
      (response) =>
        response.request().method() === 'POST' &&
        response.request().postData()?.includes('IntrospectionQuery') !== true,
    );
    await page.click('.graphiql-execute-button');
    const response = await answered;
    expect([response.status(), Object.keys((await response.json()) as object)]).toEqual([
      200,
      expect.arrayContaining(['data']),
    ]);
    await page.waitForFunction(`document.querySelector('.graphiql-response')?.textContent.includes('"data"') === true`);
    expect(outside()).toEqual([]);
    expect(complaints).toEqual([]);
  });
});
