import type { Socket } from 'node:net';
import { startRawUpstream, type RawUpstream } from './upstream.ts';

/** What a service does with a connection once it has a whole request on it. */
export type Script = (socket: Socket) => void;

export interface ScriptedUpstream extends RawUpstream {
  /** What to do with requests for a path; others are answered with `plain`. */
  readonly scripts: Map<string, Script>;
  /** Requests so far, by method and path, each with the number of its connection. */
  readonly heard: {
    readonly line: string;
    readonly connection: number;
    readonly head: string;
    readonly body: string;
  }[];
}

export const plain = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain';

/** A service that speaks bytes, each path as its script says, on connections that it keeps. */
export async function startScriptedUpstream(): Promise<ScriptedUpstream> {
  const scripts = new Map<string, Script>();
  const heard: ScriptedUpstream['heard'] = [];
  let connections = 0;
  const upstream = await startRawUpstream((socket) => {
    const connection = ++connections;
    let received = '';
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1');
      for (let request = first(received); request; request = first(received)) {
        received = received.slice(request.length);
        const [method = '', path = ''] = request.head.split(' ', 2);
        heard.push({ line: `${method} ${path}`, connection, head: request.head, body: request.body });
        const script = scripts.get(path.split('?', 1)[0]!);
        if (script) script(socket);
        else socket.write(method === 'HEAD' ? plain.slice(0, -5) : plain);
      }
    });
  });
  return { ...upstream, scripts, heard };
}

/** The first whole request among these bytes. */
function first(received: string): { head: string; body: string; length: number } | undefined {
  const end = received.indexOf('\r\n\r\n') + 4;
  if (end < 4) return undefined;
  const head = received.slice(0, end);
  if (!/\r\ntransfer-encoding: chunked/i.test(head)) {
    const length = end + Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0);
    return received.length < length ? undefined : { head, body: received.slice(end, length), length };
  }
  const last = /(?:^|\r\n)0\r\n(?:[^\r\n]+\r\n)*\r\n/g;
  last.lastIndex = end;
  const match = last.exec(received);
  return match ? { head, body: received.slice(end, last.lastIndex), length: last.lastIndex } : undefined;
}

/** Writes bytes and does with the connection what is asked. */
export function answering(bytes: string, after: 'keep' | 'end' | 'reset' = 'keep'): Script {
  return (socket) => {
    socket.write(bytes, 'latin1', () => {
      if (after === 'end') socket.end();
      // Not before the bytes have gone out, or the reset would overtake them.
      else if (after === 'reset') setTimeout(() => socket.resetAndDestroy(), 20);
    });
  };
}

/** Writes the bytes a few at a time. */
export function dripping(bytes: string, everyMs: number, size = 1): Script {
  return (socket) => {
    let at = 0;
    const timer = setInterval(() => {
      if (at >= bytes.length || socket.destroyed) clearInterval(timer);
      else socket.write(bytes.slice(at, (at += size)), 'latin1');
    }, everyMs);
  };
}
