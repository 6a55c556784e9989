/** Who buys. */
import { draw } from '../kit/random.ts';
import { seededInstant, sizes } from '../kit/shop.ts';
import { cities, familyNames, givenNames } from '../kit/words.ts';

export type User = { id: string; name: string; email: string; city: string; createdAt: string };

export function seededUser(number: number): User {
  const { next, pick } = draw('user', number);
  const given = pick(givenNames);
  const family = pick(familyNames);
  return {
    id: String(number),
    name: `${given} ${family}`,
    email: `${plain(given)}.${plain(family)}.${number}@example.com`,
    city: pick(cities),
    createdAt: seededInstant(number, sizes.users, next()),
  };
}

/** Names may be Søren or Zoë; the addresses we make for them are plain ASCII. */
function plain(name: string): string {
  return name
    .toLowerCase()
    .replaceAll('ø', 'o')
    .normalize('NFD')
    .replaceAll(/[^a-z]/g, '');
}
