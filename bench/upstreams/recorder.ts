/** Stands between a gateway and the services, and keeps what was asked, in which waves, and what the answers were. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** An answer is held for so long, so that calls which leave together arrive before the first of them is answered. */
const holdMs = 20;

export class Recorder {
  /** By target. */
  readonly answers = new Map<string, Buffer>();
  /** Targets that were asked for together, wave after wave. */
  readonly waves: string[][] = [];
  #answered = true;

  /** @returns where to send what is meant for the service */
  async before(service: string, stack: AsyncDisposableStack): Promise<string> {
    const server = createServer((request, response) => {
      const { method = 'GET', url: target = '/' } = request;
      const recorded = method === 'GET' && !target.startsWith('/health');
      if (recorded) this.#asked(target);
      const answered = async (): Promise<void> => {
        const { status, body } = await forward(service, target);
        if (recorded) {
          if (status === 200) this.answers.set(target, body);
          await sleep(holdMs);
          this.#answered = true;
        }
        response.writeHead(status, { 'content-type': 'application/json' }).end(body);
      };
      answered().catch(() => response.destroy());
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    stack.defer(() => {
      server.close();
      server.closeAllConnections();
    });
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  #asked(target: string): void {
    if (this.#answered) this.waves.push([]);
    this.#answered = false;
    this.waves.at(-1)!.push(target);
  }
}

async function forward(service: string, target: string): Promise<{ status: number; body: Buffer }> {
  const response = await fetch(`${service}${target}`);
  return { status: response.status, body: Buffer.from(await response.arrayBuffer()) };
}
