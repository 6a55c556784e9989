import type { Socket } from 'node:net';

/** With the connection itself: a worker is to serve it. */
export interface Handover {
  readonly handover: number;
}

/** A worker's answer to it, given before it reads a byte. */
export interface Taken {
  readonly taken: number;
  /** False when it serves nobody any more. */
  readonly ok: boolean;
}

export function isHandover(message: unknown): message is Handover {
  return typeof message === 'object' && message !== null && 'handover' in message;
}

function isTaken(message: unknown): message is Taken {
  return typeof message === 'object' && message !== null && 'taken' in message;
}

/** As far as a child process is concerned. */
interface Child {
  send(message: object, handle: Socket, options: { readonly keepOpen: boolean }, done: () => void): unknown;
  on(event: 'message', listener: (message: unknown) => void): unknown;
  once(event: 'close', listener: () => void): unknown;
}

/** The primary's side: connections that are on their way to one worker. */
export class Handovers {
  readonly #child: Child;
  readonly #underWay = new Map<number, (taken: boolean) => void>();
  #lastId = 0;
  #over = false;

  constructor(child: Child) {
    this.#child = child;
    child.on('message', (message) => {
      if (isTaken(message)) this.#settle(message.taken, message.ok);
    });
    // The process has ended and all that it has said has been read, so whatever it did not answer it never had.
    child.once('close', () => {
      this.#over = true;
      for (const id of this.#underWay.keys()) this.#settle(id, false);
    });
  }

  /** The connection stays open here too, for as long as it may have to be handed to another. */
  handOver(connection: Socket): Promise<boolean> {
    if (this.#over) return Promise.resolve(false);
    return new Promise((resolve) => {
      const handover = ++this.#lastId;
      this.#underWay.set(handover, resolve);
      // That it could not be sent shows by the end of the process.
      this.#child.send({ handover } satisfies Handover, connection, { keepOpen: true }, () => {});
    });
  }

  #settle(id: number, taken: boolean): void {
    const settle = this.#underWay.get(id);
    this.#underWay.delete(id);
    settle?.(taken);
  }
}
