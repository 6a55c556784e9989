/** The reviews service: what buyers think of a product, newest first. */
import { readJson } from '../kit/body.ts';
import { ByParent, Collection, itemsJson, pageJson, type Row } from '../kit/collection.ts';
import { notFound } from '../kit/problem.ts';
import { after, first, list } from '../kit/query.ts';
import { entity, json, noContent, requireMatch, written } from '../kit/respond.ts';
import type { Handler } from '../kit/router.ts';
import { type Address, listen, type Running, type Service } from '../kit/server.ts';
import { instant, ports, sizes } from '../kit/shop.ts';
import { id, integer, object, text, validate } from '../kit/validate.ts';
import { productOf, type Review, seededReview } from './data.ts';

const MAX_IDS = 100;
const MAX_PRODUCT_IDS = 50;

/** A review should be seen soon by who wrote it. */
const CACHE = 'public, max-age=5';

const newReview = object({
  productId: id(sizes.products),
  authorId: id(),
  stars: integer(1, 5),
  body: text({ max: 5_000 }),
});

export function createService(): Service {
  const reviews = new Collection<Review>(sizes.reviews, seededReview);
  const byProduct = new ByParent();
  for (let number = 1; number <= sizes.reviews; number++) byProduct.add(productOf(number), number);

  const existing = (reviewId: string | undefined) => {
    const row = reviews.get(reviewId ?? '');
    if (!row) throw notFound('review with this id');
    return row;
  };

  const newest = (productIds: string[], count: number): Row<Review>[] =>
    productIds.flatMap((product) => byProduct.newest(product, count).map((number) => reviews.at(number)!));

  const listReviews: Handler = (request) => {
    const { query } = request;
    const bulk = query.has('product_ids')
      ? newest(list(query, 'product_ids', MAX_PRODUCT_IDS), first(query, 10))
      : query.has('ids') && reviews.many(list(query, 'ids', MAX_IDS));
    if (bulk) return json(request, itemsJson(bulk), CACHE);

    const page = reviews.page(after(query), first(query, 10));
    return json(request, pageJson(page, reviews.size), CACHE);
  };

  return {
    name: 'reviews',
    document: new URL('./openapi.yaml', import.meta.url),
    routes: {
      'GET /reviews': listReviews,
      'GET /reviews/{id}': (request) => entity(request, existing(request.params['id']), CACHE),
      'POST /reviews': async ({ raw }) => {
        const given = validate(newReview, await readJson(raw));
        const row = reviews.insert((reviewId) => ({ id: reviewId, ...given, createdAt: instant(new Date()) }));
        byProduct.add(given.productId, row.number);
        return written(row, { location: `/reviews/${row.entity.id}` });
      },
      'DELETE /reviews/{id}': (request) => {
        const row = existing(request.params['id']);
        requireMatch(request, row);
        reviews.remove(row);
        byProduct.remove(row.entity.productId, row.number);
        return noContent();
      },
    },
  };
}

export function start(address: Address = {}): Promise<Running> {
  return listen(createService(), { port: ports.reviews, ...address });
}
