import { createSocket } from 'node:dgram';
import { once } from 'node:events';

/** What a name has; a name that is not there does not exist. */
export interface DnsRecords {
  readonly a?: readonly string[];
  readonly aaaa?: readonly string[];
  readonly srv?: readonly {
    readonly priority: number;
    readonly weight: number;
    readonly port: number;
    readonly target: string;
  }[];
}

export interface TestNameServer {
  /** For `servers`. */
  readonly address: string;
  readonly records: Map<string, DnsRecords>;
  /** Queries in the order they came, such as `A orders.test`. */
  readonly queries: string[];
  /** How it answers queries of a type (or all, by `*`) instead: with an error, or not at all. */
  readonly sick: Map<string, 'SERVFAIL' | 'REFUSED' | 'silent'>;
  close(): Promise<void>;
}

const types = { A: 1, AAAA: 28, SRV: 33 } as const;
const codes = { NOERROR: 0, SERVFAIL: 2, NXDOMAIN: 3, REFUSED: 5 } as const;

/** A real name server on a free UDP port, that knows A, AAAA and SRV (RFC 1035, RFC 3596, RFC 2782). */
export async function startNameServer(records: Readonly<Record<string, DnsRecords>> = {}): Promise<TestNameServer> {
  const socket = createSocket('udp4');
  const known = new Map(Object.entries(records));
  const queries: string[] = [];
  const sick = new Map<string, 'SERVFAIL' | 'REFUSED' | 'silent'>();
  socket.on('message', (message, peer) => {
    const { name, type, end } = question(message);
    queries.push(`${type} ${name}`);
    const sickness = sick.get(type) ?? sick.get('*');
    if (sickness === 'silent') return;
    const found = known.get(name);
    const code = sickness ?? (found ? 'NOERROR' : 'NXDOMAIN');
    const data = found && !sickness ? dataOf(found, type) : [];
    const answer = Buffer.concat([
      head(message, codes[code], data.length),
      message.subarray(12, end),
      ...data.map((bytes) => record(type, bytes)),
    ]);
    socket.send(answer, peer.port, peer.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return {
    address: `127.0.0.1:${socket.address().port}`,
    records: known,
    queries,
    sick,
    async close() {
      socket.close();
      await once(socket, 'close');
    },
  };
}

/** RFC 1035 §4.1.2: labels, type, class. */
function question(message: Buffer): { readonly name: string; readonly type: string; readonly end: number } {
  const labels: string[] = [];
  let at = 12;
  for (let length = message[at]!; length > 0; length = message[at]!) {
    labels.push(message.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  const number = message.readUInt16BE(at + 1);
  const type = Object.entries(types).find(([, value]) => value === number)?.[0] ?? String(number);
  return { name: labels.join('.').toLowerCase(), type, end: at + 5 };
}

/** RFC 1035 §4.1.1: an authoritative answer to the question with the same id. */
function head(query: Buffer, code: number, answers: number): Buffer {
  const bytes = Buffer.alloc(12);
  query.copy(bytes, 0, 0, 2);
  bytes.writeUInt16BE(0x8400 | (query.readUInt16BE(2) & 0x0100) | code, 2);
  bytes.writeUInt16BE(1, 4);
  bytes.writeUInt16BE(answers, 6);
  return bytes;
}

/** RFC 1035 §4.1.3: the name is a pointer to that of the question; lives for 0 seconds. */
function record(type: string, data: Buffer): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt16BE(0xc00c, 0);
  bytes.writeUInt16BE(types[type as keyof typeof types], 2);
  bytes.writeUInt16BE(1, 4);
  bytes.writeUInt16BE(data.length, 10);
  return Buffer.concat([bytes, data]);
}

function dataOf({ a = [], aaaa = [], srv = [] }: DnsRecords, type: string): Buffer[] {
  switch (type) {
    case 'A':
      return a.map((address) => Buffer.from(address.split('.').map(Number)));
    case 'AAAA':
      return aaaa.map(ipv6);
    case 'SRV':
      return srv.map(({ priority, weight, port, target }) => {
        const numbers = Buffer.alloc(6);
        for (const [index, number] of [priority, weight, port].entries()) numbers.writeUInt16BE(number, index * 2);
        return Buffer.concat([numbers, encodedName(target)]);
      });
    default:
      return [];
  }
}

function encodedName(name: string): Buffer {
  const labels = name.split('.').filter((label) => label !== '');
  return Buffer.concat([
    ...labels.map((label) => Buffer.from([label.length, ...Buffer.from(label)])),
    Buffer.from([0]),
  ]);
}

function ipv6(address: string): Buffer {
  const [left = '', right] = address.split('::');
  const groups = (part: string) =>
    part.split(':').flatMap((group) => (group === '' ? [] : [Number.parseInt(group, 16)]));
  const before = groups(left);
  const after = right === undefined ? [] : groups(right);
  const all = [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after];
  return Buffer.from(all.flatMap((group) => [group >> 8, group & 0xff]));
}
