/** The store did not answer in time, or is gone. What was asked may still have happened. */
export class StoreUnavailable extends Error {
  override readonly name = 'StoreUnavailable';
}

/** A Lua script, which the store runs as one step. Sent once, then called by its digest. */
export interface StoreScript {
  readonly name: string;
  readonly lua: string;
}

export type StoreArgument = string | number | Buffer;

export interface StoreListener {
  readonly message: (text: string) => void;
  /** From now on messages may be missed. */
  readonly lost: () => void;
  /** Messages come again; what was said meanwhile is gone. */
  readonly resumed: () => void;
}

/** What instances share. Nothing waits for it longer than its configured bound; without one configured there is none. */
export interface SharedStore {
  /** Whether it answers, as far as is known. */
  readonly up: boolean;
  /** The longest that anybody waits for it. */
  readonly timeoutMs: number;
  /** Keys of one call must have one hash tag. */
  readonly clustered: boolean;
  /** What every key begins with: prefix and version of the format. */
  readonly prefix: string;
  /**
   * One command.
   * @throws {StoreUnavailable} within the bound; any other error is the store's own answer
   */
  call(command: string, ...args: readonly StoreArgument[]): Promise<unknown>;
  /**
   * One script, which on a cluster needs keys of one hash tag.
   * @throws {StoreUnavailable} within the bound
   */
  run(script: StoreScript, keys: readonly string[], args: readonly StoreArgument[]): Promise<unknown>;
  /** The same where the answer is bytes: what are texts otherwise are Buffers. */
  read(script: StoreScript, keys: readonly string[], args: readonly StoreArgument[]): Promise<unknown>;
  /** Listens to a channel until the returned function is called. Begins with `resumed`, once it is subscribed. */
  listen(channel: string, listener: StoreListener): () => void;
}
