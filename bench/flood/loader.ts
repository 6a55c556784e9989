/**
 * A process that offers load. It sends at a rate of its own, whether or not answers come (an open loop), as clients do that
 * know nothing of each other; without a rate it sends the next request when it has the answer (a closed loop), which
 * measures what the other side can do. Its orders are its one argument, its report is a line of JSON each second.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Latencies } from './latencies.ts';
import type { LoaderOrders, LoaderSecond } from './orders.ts';

const orders = JSON.parse(process.argv[2]!) as LoaderOrders;
const { port, seconds, rate, connections, timeoutMs, kinds } = orders;
const texts = kinds.map(({ text }) => Buffer.from(text, 'latin1'));

let startMs = Number.NaN;
let endMs = Number.POSITIVE_INFINITY;
const idle: Client[] = [];
const clients = new Set<Client>();
let current = newSecond();
let sent = 0;

function newSecond() {
  return {
    sent: 0,
    unsent: 0,
    late: 0,
    broken: 0,
    wrong: 0,
    kinds: kinds.map(() => ({ sent: 0, ok: 0, refused: 0 })),
    ok: new Latencies(),
    refused: new Latencies(),
  };
}

/** One connection, and the request that is under way on it. */
class Client {
  readonly #socket: Socket;
  #kind = 0;
  /** When the request was to be sent: what it waited for a connection is its client's time too. */
  #dueMs = 0;
  #busy = false;
  #timer: NodeJS.Timeout | undefined;
  #head = '';
  #left = 0;
  #status = 0;
  #good = false;

  constructor() {
    // Several addresses, as several clients have them.
    const localAddress = `127.0.1.${1 + (clients.size % 100)}`;
    this.#socket = connect({ port, host: '127.0.0.1', localAddress, noDelay: true });
    this.#socket.on('data', (chunk: Buffer) => this.#read(chunk));
    this.#socket.on('error', () => {});
    this.#socket.once('close', () => this.#closed());
    clients.add(this);
  }

  /** @throws {Error} when it cannot be had */
  async open(): Promise<void> {
    await once(this.#socket, 'connect');
  }

  send(kind: number, dueMs: number): void {
    this.#kind = kind;
    this.#dueMs = dueMs;
    this.#busy = true;
    this.#head = '';
    this.#left = -1;
    this.#timer = setTimeout(() => this.#giveUp(), timeoutMs);
    this.#socket.write(texts[kind]!);
  }

  destroy(): void {
    this.#busy = false;
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    if (this.#left < 0) {
      this.#head += chunk.toString('latin1');
      const end = this.#head.indexOf('\r\n\r\n');
      if (end < 0) return;
      const fields = this.#head.slice(0, end);
      this.#status = Number(fields.slice(9, 12));
      const length = Number(/\r\ncontent-length: (\d+)/i.exec(fields)?.[1] ?? Number.NaN);
      if (Number.isNaN(length)) throw new Error(`An answer without a length: ${fields}`);
      this.#left = length - (this.#head.length - end - 4);
      // An operation that lost a part to an error is an answer of another length.
      this.#good = this.#status === 200 && kinds[this.#kind]!.answerBytes === length;
    } else {
      this.#left -= chunk.length;
    }
    if (this.#left === 0) this.#answered();
  }

  #answered(): void {
    const now = performance.now();
    clearTimeout(this.#timer);
    this.#busy = false;
    const counts = current.kinds[this.#kind]!;
    if (this.#good) {
      counts.ok++;
      current.ok.add(now - this.#dueMs);
    } else if (this.#status === 503) {
      counts.refused++;
      current.refused.add(now - this.#dueMs);
    } else {
      current.wrong++;
    }
    if (rate === undefined && now < endMs) next(this, now);
    else idle.push(this);
  }

  #giveUp(): void {
    current.late++;
    this.destroy();
  }

  #closed(): void {
    clearTimeout(this.#timer);
    clients.delete(this);
    if (this.#busy) current.broken++;
    const at = idle.indexOf(this);
    if (at >= 0) idle.splice(at, 1);
    if (performance.now() >= endMs) return;
    const another = new Client();
    if (rate === undefined) next(another, performance.now());
    else idle.push(another);
  }
}

function next(client: Client, dueMs: number): void {
  const kind = kindOf(sent++);
  current.sent++;
  current.kinds[kind]!.sent++;
  client.send(kind, dueMs);
}

/** Kinds in their shares, evenly spread. */
function kindOf(count: number): number {
  let place = (count * 0.618_033_988_75) % 1;
  for (const [index, { share }] of kinds.entries()) {
    if (place < share) return index;
    place -= share;
  }
  return kinds.length - 1;
}

function offer(perSecond: number): void {
  const now = performance.now();
  const due = Math.floor(((Math.min(now, endMs) - startMs) / 1_000) * perSecond);
  while (sent < due) {
    const client = idle.shift();
    if (client) {
      next(client, startMs + (sent / perSecond) * 1_000);
    } else {
      current.unsent++;
      sent++;
    }
  }
  if (now < endMs) setTimeout(offer, 1, perSecond);
}

function report(): void {
  const { ok, refused, ...counts } = current;
  current = newSecond();
  const second: LoaderSecond = {
    ...counts,
    ok: ok.counts(),
    refused: refused.counts(),
    connections: clients.size,
    underWay: clients.size - idle.length,
  };
  process.stdout.write(`${JSON.stringify(second)}\n`);
}

// A server under load takes up new connections slowly, so they are there before: what is measured is requests.
while (clients.size < connections) await Promise.all(Array.from({ length: 20 }, () => new Client().open()));
startMs = performance.now();
endMs = startMs + seconds * 1_000;
const reporting = setInterval(report, 1_000);
setTimeout(
  () => {
    clearInterval(reporting);
    report();
    process.stdout.write('', () => process.exit(0));
  },
  seconds * 1_000 + 5,
);
if (rate === undefined) {
  for (const client of clients) next(client, startMs);
} else {
  idle.push(...clients);
  offer(rate);
}
