import { hash } from 'node:crypto';
import { Router, type Request, type Response } from 'express';
import { viewerFile } from './viewer.ts';

/** The OpenAPI document as it is sent. */
export interface SentContract {
  readonly title: string;
  readonly body: Buffer;
  readonly etag: string;
}

export function sentContract(title: string, document: object): SentContract {
  const body = Buffer.from(JSON.stringify(document));
  return { title, body, etag: `"${hash('sha256', body, 'base64url')}"` };
}

export const contractPath = '/openapi.json';

/** Of the page and its files; routes like any other, so that they pass the same stages. */
export const docsPaths = ['/docs', '/docs/viewer/:file'] as const;

/** Runs the page's own scripts and no others, asks nobody but us, and may not be framed. The viewer styles what it draws. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** The OpenAPI document, and a page that shows it to people. All of it comes from here: it works without the internet. */
export function contractPages(current: () => SentContract | undefined): Router {
  const pages = Router();
  pages.get(contractPath, (request, response, next) => {
    const contract = current();
    if (!contract) {
      next();
      return;
    }
    response.set({ 'cache-control': 'no-cache', 'x-content-type-options': 'nosniff' });
    send(request, response, contract.etag, 'application/json; charset=utf-8', contract.body);
  });
  pages.get('/docs', (request, response, next) => {
    const contract = current();
    if (!contract) {
      next();
      return;
    }
    const body = Buffer.from(page(contract.title));
    response.set({
      'cache-control': 'no-cache',
      'content-security-policy': policy,
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
    });
    send(request, response, `"${hash('sha256', body, 'base64url')}"`, 'text/html; charset=utf-8', body);
  });
  pages.get('/docs/viewer/:file', (request, response, next) => {
    const reading = viewerFile(request.params.file);
    if (!reading) {
      response.status(404).type('text').send('There is no such file.');
      return;
    }
    reading.then(({ body, type }) => {
      response.set({ 'cache-control': 'public, max-age=3600', 'x-content-type-options': 'nosniff' });
      send(request, response, `"${hash('sha256', body, 'base64url')}"`, type, body);
    }, next);
  });
  return pages;
}

function send(request: Request, response: Response, etag: string, type: string, body: Buffer): void {
  response.set('etag', etag);
  if (request.headers['if-none-match'] === etag) response.status(304).end();
  else response.type(type).send(body);
}

function page(title: string): string {
  const name = title.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<!doctype html>
<html lang="en" data-document="${contractPath}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${name}</title>
<link rel="icon" type="image/png" href="/docs/viewer/favicon-32x32.png">
<link rel="stylesheet" href="/docs/viewer/swagger-ui.css">
</head><body><div id="viewer"></div><noscript>The document itself is at <a href="${contractPath}">${contractPath}</a>.</noscript>
<script src="/docs/viewer/swagger-ui-bundle.js"></script>
<script src="/docs/viewer/start.js"></script>
</body></html>
`;
}
