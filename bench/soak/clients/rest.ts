/** Clients of the REST door. */
import type { Activity, Scene } from '../activity.ts';
import { ask, bytes, type Answer, type Asking } from './exchange.ts';

function read({ draw }: Scene): Asking {
  const path = draw.pick([
    () => `/v1/users?first=${draw.int(1, 50)}`,
    () => `/v1/users/${draw.int(1, 1_100)}`,
    () => `/v1/products?first=${draw.int(1, 50)}`,
    () => `/v1/products/${draw.int(1, 550)}`,
    () => `/v1/orders?user_ids=${draw.int(1, 1_000)},${draw.int(1, 1_000)}&first=5`,
    () => `/v1/orders/${draw.int(1, 20_000)}`,
    () => `/v1/reviews?product_ids=${draw.int(1, 500)}&first=${draw.int(1, 20)}`,
  ])();
  return { path, method: draw.next() < 0.05 ? 'HEAD' : 'GET', headers: { accept: 'application/json' } };
}

/** The fault switch's own garbage passes, as it should; nothing else that is no JSON may. */
function check(scene: Scene, { method, path }: Asking, { ending, headers, status, text }: Answer): void {
  if (method === 'HEAD' || ending !== 'answered' || status === 204) return;
  if (!/json/.test(headers['content-type'] ?? '') || text.includes('<html>oops')) return;
  try {
    JSON.parse(text);
  } catch {
    scene.tally.complain('half an answer that looks whole', `${path}: ${status} ${text.slice(0, 200)}`);
  }
}

export const rest: readonly Activity[] = [
  {
    name: 'REST reads',
    clients: 6,
    pauseMs: 25,
    run: async (scene) => {
      const asking = read(scene);
      check(scene, asking, await ask(scene, asking));
    },
  },
  {
    name: 'REST writes',
    clients: 2,
    pauseMs: 80,
    run: async (scene) => {
      const { draw } = scene;
      const order = {
        customer: { customer_id: String(draw.int(1, 1_000)) },
        lines: [{ product_ref: String(draw.int(1, 500)), qty: draw.int(1, 9) }],
      };
      const asking: Asking = {
        ...(draw.next() < 0.8
          ? { method: 'POST', path: '/v1/orders', body: JSON.stringify(order) }
          : { method: 'PATCH', path: `/v1/orders/${draw.int(1, 20_000)}`, body: '{"state":"paid"}' }),
        headers: { 'content-type': 'application/json', accept: 'application/json' },
      };
      check(scene, asking, await ask(scene, asking));
    },
  },
  {
    name: 'downloads',
    clients: 2,
    pauseMs: 300,
    run: async (scene) => {
      const length = scene.draw.int(1, 16 * 1024 ** 2);
      const answer = await ask(scene, { path: `/v1/catalog/export?bytes=${length}` });
      if (answer.ending === 'answered' && answer.status === 200 && !garbage(answer) && answer.bytes !== length) {
        scene.tally.complain('half an answer that looks whole', `a download of ${length} bytes has ${answer.bytes}`);
      }
    },
  },
  {
    name: 'uploads',
    clients: 2,
    pauseMs: 300,
    run: async (scene) => {
      const { draw } = scene;
      const length = draw.int(1, 16 * 1024 ** 2);
      const chunked = draw.next() < 0.5;
      const answer = await ask(scene, {
        method: 'POST',
        path: '/v1/upload',
        headers: { 'content-type': 'application/octet-stream' },
        body: bytes(length),
        ...(!chunked && { bytes: length }),
      });
      if (answer.ending !== 'answered' || answer.status !== 200 || garbage(answer)) return;
      const arrived = (JSON.parse(answer.text) as { readonly bytes: number }).bytes;
      if (arrived !== length) scene.tally.complain('an upload that shrank', `${length} bytes, ${arrived} arrived`);
    },
  },
];

function garbage({ text }: Answer): boolean {
  return text.includes('<html>oops');
}
