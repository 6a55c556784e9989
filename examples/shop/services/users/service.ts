/** The users service: who there is, where they live. */
import { readJson } from '../kit/body.ts';
import { Collection, itemsJson, pageJson } from '../kit/collection.ts';
import { notFound } from '../kit/problem.ts';
import { after, first, list } from '../kit/query.ts';
import { entity, json, requireMatch, written } from '../kit/respond.ts';
import type { Handler } from '../kit/router.ts';
import { type Address, listen, type Running, type Service } from '../kit/server.ts';
import { instant, ports, sizes } from '../kit/shop.ts';
import { object, partial, text, validate } from '../kit/validate.ts';
import { seededUser, type User } from './data.ts';

const MAX_IDS = 100;

/** People seldom move: a shared cache may keep them for half a minute. */
const CACHE = 'public, max-age=30';

const fields = {
  name: text({ max: 200 }),
  email: text({ max: 254, pattern: /^[^\s@]+@[^\s@]+$/ }),
  city: text({ max: 100 }),
};
const newUser = object(fields);
const changedUser = partial(fields);

export function createService(): Service {
  const users = new Collection<User>(sizes.users, seededUser);

  const existing = (id: string | undefined) => {
    const row = users.get(id ?? '');
    if (!row) throw notFound('user with this id');
    return row;
  };

  const listUsers: Handler = (request) => {
    const { query } = request;
    if (query.has('ids')) {
      const rows = users.many(list(query, 'ids', MAX_IDS));
      return json(request, itemsJson(rows), CACHE);
    }
    const page = users.page(after(query), first(query, 20));
    return json(request, pageJson(page, users.size), CACHE);
  };

  return {
    name: 'users',
    document: new URL('./openapi.yaml', import.meta.url),
    routes: {
      'GET /users': listUsers,
      'GET /users/{id}': (request) => entity(request, existing(request.params['id']), CACHE),
      'POST /users': async ({ raw }) => {
        const given = validate(newUser, await readJson(raw));
        const row = users.insert((id) => ({ id, ...given, createdAt: instant(new Date()) }));
        return written(row, { location: `/users/${row.entity.id}` });
      },
      'PATCH /users/{id}': async (request) => {
        const changes = validate(changedUser, await readJson(request.raw));
        const row = existing(request.params['id']);
        requireMatch(request, row);
        return written(users.replace(row, { ...row.entity, ...changes }));
      },
    },
  };
}

export function start(address: Address = {}): Promise<Running> {
  return listen(createService(), { port: ports.users, ...address });
}
