import { startRawUpstream, type RawUpstream } from './upstream.ts';
import { StrictParser, type StrictRequest } from './strict-requests.ts';

/** A service that keeps every byte it gets, reads it strictly, and answers each whole request with `ok`. */
export interface Recorder extends RawUpstream {
  /** Whole requests, in the order they came. */
  readonly requests: readonly StrictRequest[];
  /** What was no strict HTTP/1.1. */
  readonly problems: readonly string[];
  /** How much came, of requests whole or not. */
  readonly bytes: number;
}

export async function startRecorder(): Promise<Recorder> {
  const requests: StrictRequest[] = [];
  const problems: string[] = [];
  let bytes = 0;
  const server = await startRawUpstream((socket) => {
    const parser = new StrictParser();
    socket.on('data', (chunk) => {
      bytes += chunk.length;
      try {
        for (const request of parser.read(chunk.toString('latin1'))) {
          requests.push(request);
          socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n${request.method === 'HEAD' ? '' : 'ok'}`);
        }
      } catch (error) {
        problems.push((error as Error).message);
        socket.destroy();
      }
    });
  });
  return {
    ...server,
    requests,
    problems,
    get bytes() {
      return bytes;
    },
  };
}
