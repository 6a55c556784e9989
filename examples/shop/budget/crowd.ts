import { operation, rest, type Key } from './questions.ts';
import type { GatewayAddress } from './stage.ts';

/** How often each status was answered, and with which code of an error. */
export type Tally = Readonly<Record<string, number>>;

let asked = 0;

/** Another order each time: what is asked twice in one moment is asked of a service once, and so paid once. */
function anotherOrder(): number {
  return (asked++ % 20_000) + 1;
}

/** So many clients at once, by both doors of both gateways in turn, each until it is refused by both doors one after the other. */
export async function crowd(gateways: readonly GatewayAddress[], key: Key, clients: number): Promise<Tally> {
  const tally: Record<string, number> = {};
  const client = async (place: number): Promise<void> => {
    let refusals = 0;
    for (let turn = place; refusals < 2; turn++) {
      const gateway = gateways[turn % gateways.length]!;
      const order = anotherOrder();
      const byRest = (turn >> 1) % 2 === 0;
      const { status, code = '' } = byRest
        ? await rest(gateway, key, `/v1/orders/${order}`)
        : await operation(gateway, key, `{ order(id: ${order}) { state } }`);
      const outcome = `${status} ${code}`.trim();
      tally[outcome] = (tally[outcome] ?? 0) + 1;
      refusals = status === 200 ? 0 : refusals + 1;
    }
  };
  await Promise.all(Array.from({ length: clients }, (_, place) => client(place)));
  return tally;
}

/** Takes what operations had reserved and gave back when everybody else had gone. */
export async function takeTheRest(gateways: readonly GatewayAddress[], key: Key): Promise<void> {
  for (const gateway of gateways) while ((await rest(gateway, key, `/v1/orders/${anotherOrder()}`)).status === 200);
}
