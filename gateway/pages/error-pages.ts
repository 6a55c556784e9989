import { hash } from 'node:crypto';
import { Router } from 'express';
import { errorCodes, errorRow, type ErrorCode } from '#core/errors.ts';

const retryText = {
  no: 'No: the same request will fail again.',
  later: 'Yes, after a pause; longer each time.',
  yes: 'Yes, at once.',
} as const;

const faultText = { client: 'the request', gateway: 'the gateway', upstream: 'a service behind the gateway' } as const;

/** Of the pages; routes like any other, so that they pass the same stages. */
export const errorPaths = ['/docs/errors', '/docs/errors/:code'] as const;

/** What the `type` of every problem opens: meaning, whether to retry, what to do. */
export function errorPages(): Router {
  const pages = Router();
  pages.use('/docs/errors', (_request, response, next) => {
    response.set({ 'content-security-policy': securityPolicy, 'referrer-policy': 'no-referrer' });
    next();
  });
  pages.get('/docs/errors', (_request, response) => {
    const rows = errorCodes.map(
      (code) => `<li><a href="/docs/errors/${code}"><code>${code}</code></a> ${errorRow(code).title}</li>`,
    );
    response.type('html').send(page('Errors', `<h1>Errors</h1><ul>${rows.join('')}</ul>`));
  });
  pages.get('/docs/errors/:code', (request, response) => {
    const { code } = request.params;
    if (!isCode(code)) {
      response
        .status(404)
        .set('proxy-status', 'weir; error=destination_not_found')
        .type('html')
        .send(page('No such error', '<h1>No such error</h1><p><a href="/docs/errors">All errors</a></p>'));
      return;
    }
    const row = errorRow(code);
    response.type('html').send(
      page(
        code,
        `<h1>${row.title}</h1>
<p><code>${code}</code>, HTTP status ${row.status}. The cause lies with ${faultText[row.fault]}.</p>
<h2>What it means</h2><p>${prose(row.meaning)}</p>
<h2>Is it worth trying again?</h2><p>${retryText[row.retry]}</p>
<h2>What to do</h2><p>${prose(row.action)}</p>
<p>Quote the <code>requestId</code> of the answer when you report it.</p>
<p><a href="/docs/errors">All errors</a></p>`,
      ),
    );
  });
  return pages;
}

function isCode(text: string): text is ErrorCode {
  return errorCodes.includes(text as ErrorCode);
}

/** The table's own sentences; back-quoted names become code. */
function prose(sentence: string): string {
  return sentence.replaceAll('<', '&lt;').replaceAll(/`([^`]+)`/g, '<code>$1</code>');
}

const style =
  'body{font:1rem/1.5 system-ui,sans-serif;max-width:42rem;margin:3rem auto;padding:0 1rem;color:#1a2b3c}' +
  'code{background:#eef3f7;padding:.1em .3em}a{color:#0b62a4}';

/** Nothing but the page's own style, by its hash (CSP3 §6.7.2). */
const securityPolicy = [
  "default-src 'none'",
  `style-src 'sha256-${hash('sha256', style, 'base64')}'`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

function page(title: string, body: string): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title} · Weir</title>
<style>${style}</style>
</head><body>${body}</body></html>
`;
}
