import { createHash } from 'node:crypto';
import type { Socket } from 'node:net';
import { startRawUpstream, type RawUpstream } from './upstream.ts';

/** The answer to a handshake (RFC 6455 §4.2.2). */
function switching(request: string): string {
  const key = /sec-websocket-key: (\S+)/i.exec(request)?.[1] ?? '';
  const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  return `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`;
}

/** A frame of at most 125 bytes of payload; masked with nothing, where it is to look like a client's. */
export function frame(opcode: number, payload: Buffer | string, masked = false): Buffer {
  const bytes = Buffer.from(payload);
  return Buffer.concat([
    Buffer.from([0x80 | opcode, (masked ? 0x80 : 0) | bytes.length, ...(masked ? [0, 0, 0, 0] : [])]),
    bytes,
  ]);
}

export interface RawWebSocketUpstream extends RawUpstream {
  /** All that came after the handshakes. */
  readonly received: () => Buffer;
}

/**
 * A service that takes every handshake and then does what the test says, byte by byte.
 * @param opened with the head of its answer, which is not yet written
 */
export async function startRawWebSocketUpstream(
  opened: (socket: Socket, head: string) => void,
): Promise<RawWebSocketUpstream> {
  let received: Buffer = Buffer.alloc(0);
  const upstream = await startRawUpstream((socket) => {
    let request: string | undefined = '';
    socket.on('data', (chunk: Buffer) => {
      if (request === undefined) {
        received = Buffer.concat([received, chunk]);
        return;
      }
      request += chunk.toString('latin1');
      if (!request.endsWith('\r\n\r\n')) return;
      opened(socket, switching(request));
      request = undefined;
    });
  });
  return { ...upstream, received: () => received };
}
