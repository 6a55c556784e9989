import { hash } from 'node:crypto';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import type { RequestContext } from '#core/context.ts';
import { firstValue } from '#core/headers.ts';
import { acceptable } from '#policies/compression/accept-encoding.ts';
import { chooser, withChooser, type DemoKeys } from './graphiql-consumers.ts';
import { explainer } from './graphiql-explain.ts';

/** GraphiQL, for browsers that open the path of the API. */
export class GraphiqlPage {
  readonly #examples: readonly string[];
  readonly #demoKeys: DemoKeys | undefined;
  #page: Promise<Page> | undefined;

  /**
   * @param examples GraphQL documents that stand in the tabs of who comes for the first time
   * @param demoKeys keys that are no secrets, for whoever opens the page to choose from
   */
  constructor(examples: readonly string[], demoKeys?: DemoKeys) {
    this.#examples = examples;
    this.#demoKeys = demoKeys;
  }

  /** A browser's navigation names HTML; scripts that fetch take anything, and are served the API. */
  static wanted({ method, headers }: RequestContext): boolean {
    return (method === 'GET' || method === 'HEAD') && (firstValue(headers.accept)?.includes('text/html') ?? false);
  }

  async reply({ method, headers, reply }: RequestContext): Promise<void> {
    const page = await (this.#page ??= renderPage(this.#examples, this.#demoKeys));
    const { coding } = acceptable(firstValue(headers['accept-encoding']), codings);
    // Each coding has bytes of its own, so a validator of its own (RFC 9110 §8.8.3.3).
    const etag = `"${page.digest}${coding === undefined ? '' : `-${coding}`}"`;
    // What is compressed once is compressed well, and not again for each who asks.
    const head = { etag, vary: 'Accept, Accept-Encoding', 'cache-control': 'no-cache, no-transform' };
    if (firstValue(headers['if-none-match']) === etag) {
      reply.head(304, head);
      reply.end();
      return;
    }
    const body = coding === undefined ? page.body : await (page.coded[coding] ??= compressors[coding](page.body));
    if (reply.finished) return;
    reply.head(200, {
      ...head,
      'content-type': 'text/html; charset=utf-8',
      'content-length': String(body.length),
      ...(coding !== undefined && { 'content-encoding': coding }),
      'content-security-policy': page.policy,
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
    });
    reply.end(method === 'HEAD' ? undefined : body);
  }
}

const codings = ['br', 'gzip'] as const;

type Coding = (typeof codings)[number];

const brotli = promisify(brotliCompress);
const compressors: Readonly<Record<Coding, (body: Buffer) => Promise<Buffer>>> = {
  br: (body) => brotli(body, { params: { [constants.BROTLI_PARAM_QUALITY]: 5 } }),
  gzip: promisify(gzip),
};

interface Page {
  readonly body: Buffer;
  /** The same compressed, made when first asked for. */
  readonly coded: Partial<Record<Coding, Promise<Buffer>>>;
  readonly digest: string;
  readonly policy: string;
}

async function renderPage(examples: readonly string[], demoKeys: DemoKeys | undefined): Promise<Page> {
  // Nine megabytes, for it brings all its parts along; of no use to a gateway that no browser opens.
  const { renderGraphiQL } = await import('@graphql-yoga/render-graphiql');
  const [defaultQuery] = examples;
  const page = renderGraphiQL({
    title: 'Weir',
    ...(defaultQuery !== undefined && { defaultQuery, defaultTabs: examples.map((query) => ({ query })) }),
  });
  const html = withChooser(page, explainer(demoKeys === undefined) + (demoKeys ? chooser(demoKeys) : ''));
  return {
    body: Buffer.from(html),
    coded: {},
    digest: hash('sha256', html, 'base64url'),
    policy: securityPolicy(html),
  };
}

/**
 * The page runs its own scripts and no others (CSP3 §6.7.2, hashes of inline scripts), calls nobody but us, and may not be
 * framed.
 */
function securityPolicy(html: string): string {
  const scripts = html.matchAll(/<script>([\s\S]*?)<\/script>/g);
  const hashes = Array.from(scripts, ([, script = '']) => `'sha256-${hash('sha256', script, 'base64')}'`);
  return [
    "default-src 'none'",
    `script-src ${hashes.join(' ')}`,
    'worker-src blob:',
    // The editor styles what it draws.
    "style-src 'unsafe-inline'",
    "img-src 'self' data:",
    'font-src data:',
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}
