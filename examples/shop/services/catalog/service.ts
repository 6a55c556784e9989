/** The catalog service: products, and the bodies too large to hold: export, images, uploads. */
import { digest, readJson } from '../kit/body.ts';
import { Collection, itemsJson, pageJson } from '../kit/collection.ts';
import { notFound } from '../kit/problem.ts';
import { after, first, integer as integerOf, list } from '../kit/query.ts';
import { entity, fleeting, json, requireMatch, written } from '../kit/respond.ts';
import type { Handler } from '../kit/router.ts';
import { type Address, listen, type Running, type Service } from '../kit/server.ts';
import { ports, sizes } from '../kit/shop.ts';
import { integer, object, oneOf, partial, text, validate } from '../kit/validate.ts';
import { type Product, seededProduct } from './data.ts';
import { bytes, lines, MAX_EXPORT_BYTES } from './download.ts';

const MAX_IDS = 100;

/** What is sold changes by the day, not by the second. */
const CACHE = 'public, max-age=60';

const changedProduct = partial({
  name: text({ max: 200 }),
  category: text({ max: 50 }),
  price: object({ amount: integer(0, 100_000_000), currency: oneOf(['EUR']) }),
  description: text({ max: 2_000 }),
  stock: integer(0, 1_000_000),
});

export function createService(): Service {
  const products = new Collection<Product>(sizes.products, seededProduct);

  const existing = (id: string | undefined) => {
    const row = products.get(id ?? '');
    if (!row) throw notFound('product with this id');
    return row;
  };

  const listProducts: Handler = (request) => {
    const { query } = request;
    if (query.has('ids')) {
      const rows = products.many(list(query, 'ids', MAX_IDS));
      return json(request, itemsJson(rows), CACHE);
    }
    const category = query.get('category');
    const wanted = (product: Product): boolean => category === null || product.category === category;
    const page = products.page(after(query), first(query, 20), wanted);
    const total = category === null ? products.size : products.page(0, products.size, wanted).rows.length;
    return json(request, pageJson(page, total), CACHE);
  };

  const exportCatalog: Handler = ({ query }) => {
    const length = integerOf(query, 'bytes', 0, MAX_EXPORT_BYTES);
    const headers = { 'cache-control': 'no-store' };
    if (length === undefined) {
      const body = () => lines(products.page(0, products.size).rows);
      return { status: 200, headers: { ...headers, 'content-type': 'application/x-ndjson' }, body };
    }
    return {
      status: 200,
      headers: { ...headers, 'content-type': 'application/octet-stream', 'content-length': String(length) },
      body: () => bytes(length),
    };
  };

  return {
    name: 'catalog',
    document: new URL('./openapi.yaml', import.meta.url),
    routes: {
      'GET /products': listProducts,
      'GET /products/{id}': (request) => entity(request, existing(request.params['id']), CACHE),
      'PATCH /products/{id}': async (request) => {
        const changes = validate(changedProduct, await readJson(request.raw));
        const row = existing(request.params['id']);
        requireMatch(request, row);
        return written(products.replace(row, { ...row.entity, ...changes }));
      },
      'GET /catalog/export': exportCatalog,
      // The bytes themselves are not kept: the digest shows that they all arrived.
      'PUT /products/{id}/image': async ({ params, raw }) => {
        existing(params['id']);
        return fleeting(await digest(raw));
      },
      'POST /upload': async ({ raw }) => fleeting(await digest(raw)),
    },
  };
}

export function start(address: Address = {}): Promise<Running> {
  return listen(createService(), { port: ports.catalog, ...address });
}
