/** A process at the other end: `process` itself in a worker, a child process in the primary. */
export interface Port {
  readonly connected: boolean;
  send(message: object, done: (error: Error | null) => void): unknown;
  /** A handle that comes with a message may be gone by the time it is here. */
  on(event: 'message', listener: (message: unknown, handle?: unknown) => void): unknown;
}

/** Functions that one side has and the other side calls. All they take and give is plain data. */
type Calls = Readonly<Record<string, (body: never) => unknown>>;

type Body<C extends Calls, N extends keyof C> = Parameters<C[N]>[0];
type Answer<C extends Calls, N extends keyof C> = Awaited<ReturnType<C[N]>>;

type Message =
  | { readonly weir: 'ask'; readonly id: number; readonly name: string; readonly body: unknown }
  | { readonly weir: 'answer'; readonly id: number; readonly answer: unknown }
  | { readonly weir: 'failure'; readonly id: number; readonly message: string };

interface Pending {
  readonly settle: (answer: unknown) => void;
  readonly fail: (error: Error) => void;
}

/** Questions to one process that wait for an answer; a process that has so many does not answer at all. */
const maxPending = 256;

/** The other process did not answer: in time, or ever. */
export class NoAnswer extends Error {
  override readonly name = 'NoAnswer';
}

/** Questions and answers between two processes, each way, in the order they are asked. `Theirs` is what the other side has. */
export class Channel<Own extends Calls, Theirs extends Calls> {
  readonly #port: Port;
  readonly #own: Own;
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;

  constructor(port: Port, own: Own) {
    this.#port = port;
    this.#own = own;
    port.on('message', (message) => {
      if (isMessage(message)) this.#receive(message);
    });
  }

  /**
   * @param timeoutMs how long to wait; undefined waits until the other process ends
   * @throws {NoAnswer} when it does not answer in time, or has ended
   * @throws {Error} with the message of what its function threw
   */
  ask<N extends keyof Theirs & string>(
    name: N,
    body: Body<Theirs, N>,
    timeoutMs: number | undefined,
  ): Promise<Answer<Theirs, N>> {
    return new Promise((resolve, reject) => {
      if (!this.#port.connected || this.#pending.size >= maxPending) {
        reject(new NoAnswer(`the process cannot be asked for '${name}'`));
        return;
      }
      const id = ++this.#lastId;
      const late = () => pending.fail(new NoAnswer(`no answer to '${name}' within ${timeoutMs} ms`));
      const timer = timeoutMs === undefined ? undefined : setTimeout(late, timeoutMs);
      const over = () => {
        clearTimeout(timer);
        this.#pending.delete(id);
      };
      const pending: Pending = {
        settle(answer) {
          over();
          resolve(answer as Answer<Theirs, N>);
        },
        fail(error) {
          over();
          reject(error);
        },
      };
      this.#pending.set(id, pending);
      this.#send({ weir: 'ask', id, name, body });
    });
  }

  /** The other process has ended: nothing that was asked will be answered. */
  close(): void {
    for (const pending of this.#pending.values()) pending.fail(new NoAnswer('the process has ended'));
  }

  #receive(message: Message): void {
    switch (message.weir) {
      case 'ask':
        void this.#serve(message.id, message.name, message.body);
        break;
      // Answers that come too late are nobody's any more.
      case 'answer':
        this.#pending.get(message.id)?.settle(message.answer);
        break;
      case 'failure':
        this.#pending.get(message.id)?.fail(new Error(message.message));
        break;
    }
  }

  async #serve(id: number, name: string, body: unknown): Promise<void> {
    try {
      const answer = await (this.#own[name] as (body: unknown) => unknown)(body);
      this.#send({ weir: 'answer', id, answer });
    } catch (error) {
      this.#send({ weir: 'failure', id, message: (error as Error).message });
    }
  }

  #send(message: Message): void {
    if (!this.#port.connected) return;
    // That the other end is gone shows by its end.
    this.#port.send(message, () => {});
  }
}

function isMessage(message: unknown): message is Message {
  return typeof message === 'object' && message !== null && 'weir' in message;
}
