import { hash } from 'node:crypto';
import { Router, type Request, type Response } from 'express';
import { WeirError } from '#core/errors.ts';
import { errorAnswer } from '#gateway/http/error-reply.ts';
import { viewerFile } from './viewer.ts';

/** The OpenAPI document as it is sent. */
export interface SentContract {
  readonly title: string;
  readonly body: Buffer;
  readonly etag: string;
}

/** All documents that are sent. */
export interface SentContracts {
  /** Of every version. */
  readonly whole: SentContract;
  readonly versions: ReadonlyMap<string, SentContract>;
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
export function contractPages(current: () => SentContracts | undefined): Router {
  const pages = Router();
  pages.get(contractPath, (request, response, next) => {
    const contracts = current();
    if (!contracts) {
      next();
      return;
    }
    const contract = chosen(request, contracts);
    if (!contract) {
      refuseVersion(response, contracts);
      return;
    }
    response.set({ 'cache-control': 'no-cache', 'x-content-type-options': 'nosniff' });
    send(request, response, contract.etag, 'application/json; charset=utf-8', contract.body);
  });
  pages.get('/docs', (request, response, next) => {
    const contracts = current();
    if (!contracts) {
      next();
      return;
    }
    if (!chosen(request, contracts)) {
      refuseVersion(response, contracts);
      return;
    }
    const body = Buffer.from(page(contracts, versionIn(request)));
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
      const fields = { 'proxy-status': 'weir; error=destination_not_found' };
      response.status(404).set(fields).type('text').send('There is no such file.');
      return;
    }
    reading.then(({ body, type }) => {
      response.set({ 'cache-control': 'public, max-age=3600', 'x-content-type-options': 'nosniff' });
      send(request, response, `"${hash('sha256', body, 'base64url')}"`, type, body);
    }, next);
  });
  return pages;
}

/** That is asked for by `version`; undefined where none was. Of two there is no document. */
function versionIn({ url }: Request): string | undefined {
  const question = url.indexOf('?');
  if (question < 0) return undefined;
  const asked = new URLSearchParams(url.slice(question)).getAll('version');
  return asked.length === 0 ? undefined : asked.join();
}

/** @returns undefined for a version that has none */
function chosen(request: Request, { whole, versions }: SentContracts): SentContract | undefined {
  const version = versionIn(request);
  return version === undefined ? whole : versions.get(version);
}

function refuseVersion(response: Response, { versions }: SentContracts): void {
  const known = [...versions.keys()];
  const error = new WeirError('ROUTE_NOT_FOUND', {
    detail: `There is no document of this version. Known are ${known.join(', ') || 'none'}; without version it is of all.`,
    extensions: { versions: known },
  });
  const requestId = String(response.get('x-request-id'));
  const { body, headers } = errorAnswer(error, 'problem', requestId);
  response.status(error.status).set(headers).send(Buffer.from(body));
}

function send(request: Request, response: Response, etag: string, type: string, body: Buffer): void {
  response.set('etag', etag);
  if (request.headers['if-none-match'] === etag) response.status(304).end();
  else response.type(type).send(body);
}

function page({ whole, versions }: SentContracts, version: string | undefined): string {
  const name = escaped(whole.title);
  const document = version === undefined ? contractPath : `${contractPath}?version=${encodeURIComponent(version)}`;
  const links = [undefined, ...versions.keys()].map((other) => {
    const text = other === undefined ? 'All versions' : escaped(other);
    if (other === version) return `<strong aria-current="page">${text}</strong>`;
    return `<a href="/docs${other === undefined ? '' : `?version=${encodeURIComponent(other)}`}">${text}</a>`;
  });
  const choice =
    versions.size === 0 ? '' : `<nav aria-label="Versions" style="${navigation}">${links.join(' · ')}</nav>`;
  return `<!doctype html>
<html lang="en" data-document="${document}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${name}</title>
<link rel="icon" type="image/png" href="/docs/viewer/favicon-32x32.png">
<link rel="stylesheet" href="/docs/viewer/swagger-ui.css">
</head><body>${choice}<div id="viewer"></div><noscript>The document itself is at <a href="${document}">${document}</a>.</noscript>
<script src="/docs/viewer/swagger-ui-bundle.js"></script>
<script src="/docs/viewer/start.js"></script>
</body></html>
`;
}

const navigation = 'max-width:1460px;margin:1rem auto 0;padding:0 20px;font:1rem/1.5 system-ui,sans-serif';

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
