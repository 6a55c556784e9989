/** What buyers say: 100 reviews of each product. */
import { draw } from '../kit/random.ts';
import { parentOf, seededInstant, sizes } from '../kit/shop.ts';
import { complaint, praise, remark } from '../kit/words.ts';

export type Review = {
  id: string;
  productId: string;
  authorId: string;
  /** 1 to 5. */
  stars: number;
  body: string;
  createdAt: string;
};

export function productOf(review: number): string {
  return String(parentOf(review, sizes.products, 7));
}

/** Most are content: of every ten stars given, seven are fours and fives. */
const starsGiven = [5, 5, 5, 5, 4, 4, 4, 3, 2, 1] as const;

export function seededReview(number: number): Review {
  const { next, int, pick } = draw('review', number);
  const stars = pick(starsGiven);
  return {
    id: String(number),
    productId: productOf(number),
    authorId: String(int(1, sizes.users)),
    stars,
    body: `${pick(stars >= 4 ? praise : complaint)} ${pick(remark)}`,
    createdAt: seededInstant(number, sizes.reviews, next()),
  };
}
