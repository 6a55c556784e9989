/** What is sold. */
import { draw } from '../kit/random.ts';
import { unitPriceCents } from '../kit/shop.ts';
import { adjectives, categories, goods } from '../kit/words.ts';

export type Product = {
  id: string;
  name: string;
  category: string;
  /** `amount` is in cents. */
  price: { amount: number; currency: 'EUR' };
  description: string;
  stock: number;
};

export function seededProduct(number: number): Product {
  const { int, pick } = draw('product', number);
  const category = pick(categories);
  const name = `${pick(adjectives)} ${pick(goods[category])}`;
  return {
    id: String(number),
    name,
    category,
    price: { amount: unitPriceCents(number), currency: 'EUR' },
    description: `${name}, no. ${number} of our ${category} range. Made to be used, repaired and passed on.`,
    stock: int(0, 250),
  };
}
