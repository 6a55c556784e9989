/**
 * `npm start`: the four services of the shop, and the gateway in front of them. With `--config FILE` it runs that file
 * alone: no shop, and none of its modules.
 */
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from '#gateway/cli/run.ts';
import { terminal } from '#gateway/cli/terminal.ts';
import { urlOf } from '#gateway/gateway.ts';
import { createGateway, listen, untilSignal } from '#gateway/lifecycle.ts';
import { openProject } from '#gateway/project.ts';
import { spawnShop, type Shop } from './services/spawn.ts';
import { banner } from './banner.ts';
import { demoKeysOf } from './demo-keys.ts';

const args = process.argv.slice(2);
if (args.length > 0) {
  process.exitCode = await run(['start', ...args], terminal);
} else {
  process.exitCode = await startShop();
}

async function startShop(): Promise<number> {
  let shop: Shop | undefined;
  try {
    shop = await spawnShop({ ports: process.env['SHOP_PORTS'] === 'free' ? 'free' : 'fixed' });
    const { users, orders, catalog, reviews } = shop;
    const urls = { USERS_URL: users.url, ORDERS_URL: orders.url, CATALOG_URL: catalog.url, REVIEWS_URL: reviews.url };
    const config = relative('', fileURLToPath(new URL('gateway.yaml', import.meta.url)));
    const project = await openProject({ config, env: { ...process.env, ...urls } });
    const demoKeys = demoKeysOf(project);
    const gateway = createGateway(project, { demoKeys });
    const { address, admin } = await listen(gateway);
    const text = banner({ gateway: urlOf(address), admin: urlOf(admin), shop, demoKeys });
    // A program that reads stdout finds JSON lines there and nothing else.
    if (process.stdout.isTTY) {
      terminal.out(text);
    } else {
      gateway.telemetry.log.info({ address: urlOf(address), admin: urlOf(admin) }, 'listening');
      terminal.err(text);
    }
    await untilSignal(gateway);
    return 0;
  } catch (error) {
    const { message } = error as Error;
    const taken = shop === undefined && message.includes('is taken');
    terminal.err(
      `${message}\n${taken ? 'Fix: stop that process, or let the services take any port: SHOP_PORTS=free npm start\n' : ''}`,
    );
    return 1;
  } finally {
    await shop?.stop();
  }
}
