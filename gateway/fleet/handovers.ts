import type { ChildProcess } from 'node:child_process';

/** What node:cluster says to a worker, and a worker to it: connections that are handed over, and which of them were taken. */
interface ClusterMessage {
  readonly act?: string;
  readonly seq?: number;
  readonly ack?: number;
}

interface Handle {
  close(): void;
}

/**
 * Closes the connection that a worker was being handed when it died. node:cluster forgets it: nobody would read it, nobody
 * would close it, and its client would wait for as long as it can. A worker that does not answer keeps the one that it was
 * handed last; no other is handed to it before it has taken that.
 */
export function closeForgottenHandovers(worker: ChildProcess): void {
  const handed = new Map<number | undefined, Handle>();
  const send = worker.send.bind(worker) as (...args: unknown[]) => boolean;
  worker.send = (message: ClusterMessage, handle?: unknown, ...rest: unknown[]) => {
    if (message.act === 'newconn') handed.set(message.seq, handle as Handle);
    return send(message, handle, ...rest);
  };
  worker.on('internalMessage', ({ ack }: ClusterMessage) => {
    if (ack !== undefined) handed.delete(ack);
  });
  worker.once('exit', () => {
    // A channel with a handle in it does not notice that its other end is gone, nor then does node:cluster.
    if (worker.connected) worker.disconnect();
    for (const handle of handed.values()) handle.close();
  });
}
