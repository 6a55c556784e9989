import { once } from 'node:events';
import { WebSocket } from 'ws';

export interface HeapUsage {
  /** Objects that JavaScript sees. */
  readonly usedBytes: number;
  /** Memory of buffers, which lies beside the heap. */
  readonly buffersBytes: number;
}

/** V8's own word on the heap of a process that was started with `--inspect`: after a collection, and so of what is held. */
export class Inspector {
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, (result: unknown) => void>();
  #last = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('message', (data: Buffer) => {
      const { id, result } = JSON.parse(data.toString()) as { readonly id: number; readonly result: unknown };
      this.#waiting.get(id)?.(result);
      this.#waiting.delete(id);
    });
    // The process may end before the session does; what is asked then is never answered, and the run ends with it.
    socket.on('error', () => {});
  }

  static async attach(port: number): Promise<Inspector> {
    const response = await fetch(`http://127.0.0.1:${port}/json/list`);
    const [target] = (await response.json()) as { readonly webSocketDebuggerUrl: string }[];
    const socket = new WebSocket(target!.webSocketDebuggerUrl, { perMessageDeflate: false });
    await once(socket, 'open');
    return new Inspector(socket);
  }

  async heapAfterCollection(): Promise<HeapUsage> {
    // Finalizers of the first may let go of more.
    for (let time = 0; time < 2; time++) await this.#call('HeapProfiler.collectGarbage');
    const { usedSize, backingStorageSize = 0 } = (await this.#call('Runtime.getHeapUsage')) as {
      readonly usedSize: number;
      readonly backingStorageSize?: number;
    };
    return { usedBytes: usedSize, buffersBytes: backingStorageSize };
  }

  close(): void {
    this.#socket.terminate();
  }

  #call(method: string): Promise<unknown> {
    const id = ++this.#last;
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      this.#socket.send(JSON.stringify({ id, method }));
    });
  }
}
