import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { root } from './stage.ts';

/**
 * A copy of the shop's modules, to be changed.
 * @returns their folder
 */
export async function copyModules(folder: string, name: string): Promise<string> {
  const copy = join(folder, name);
  const modules = join(copy, 'modules');
  await mkdir(modules, { recursive: true });
  for (const part of ['catalog', 'orders', 'reviews', 'users', 'generated', 'registry.ts'])
    await cp(join(root, 'resolvers', part), join(modules, part), { recursive: true });
  // What modules import is this tree's own.
  await symlink(root, join(copy, 'weir'));
  await symlink(join(root, 'examples'), join(copy, 'examples'));
  await symlink(join(root, 'node_modules'), join(copy, 'node_modules'));
  const folders = ['core', 'schema', 'upstreams', 'policies', 'resolvers', 'gateway'];
  const imports = Object.fromEntries(folders.map((each) => [`#${each}/*`, `./weir/${each}/*`]));
  await writeFile(join(copy, 'package.json'), JSON.stringify({ name, type: 'module', imports }));
  return modules;
}

/** `User.orders` loses its batching: one word of SDL, and the loader that goes with it. */
export async function takeBatchingAway(modules: string): Promise<void> {
  await change(
    join(modules, 'orders/orders.graphql'),
    'orders(first: Int! = 10): [Order!] @upstream(name: "orders", batch: 100)',
    'orders(first: Int! = 10): [Order!] @upstream(name: "orders")',
  );
  await change(
    join(modules, 'orders/module.ts'),
    `byUser: batch({ maxBatchSize: 100 }, async (userIds, { params, signal }: Loading<{ first: number }>) => {
      const query = { userIds, first: params.first };
      const found = await clients.orders.get('/orders', { query, signal });
      return groupBy(found.items, (order) => order.userId);
    }),`,
    `byUser: each({ concurrency: 8 }, async (userId: string, { params, signal }: Loading<{ first: number }>) => {
      const query = { userIds: [userId], first: params.first };
      return (await clients.orders.get('/orders', { query, signal })).items;
    }),`,
  );
  await change(join(modules, 'orders/module.ts'), '  groupBy,\n', '');
  await change(join(modules, 'orders/module.ts'), '  batch,\n', '  batch,\n  each,\n');
}

/** @throws {Error} where that is not what the file says */
async function change(file: string, from: string, to: string): Promise<void> {
  const text = await readFile(file, 'utf8');
  if (!text.includes(from)) throw new Error(`${file} does not have what was to be changed: ${from}`);
  await writeFile(file, text.replace(from, to));
}
