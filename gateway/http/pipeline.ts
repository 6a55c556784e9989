import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { RequestContext } from '#core/context.ts';
import type { Stage } from '#gateway/stage.ts';

/** Where a request goes once it has passed all stages. */
export interface Doors {
  /** @returns true when the path is a page, which Express's own routes serve */
  dispatch(context: RequestContext, request: IncomingMessage, response: ServerResponse): boolean;
  /** `switched` is told once the client has its 101, with what says goodbye to it where it is not just to be closed. */
  upgrade(
    context: RequestContext,
    request: IncomingMessage,
    socket: Socket,
    head: Buffer,
    switched: (leave?: () => void) => void,
  ): void;
}

/**
 * What a request meets: built for one configuration, replaced as a whole by the next. A request stays in the one it came
 * into, to its last byte.
 */
export class Pipeline {
  readonly stages: readonly Stage[];
  readonly doors: Doors;
  #requests = 0;
  #empty: (() => void) | undefined;

  constructor(stages: readonly Stage[], doors: Doors) {
    this.stages = stages;
    this.doors = doors;
  }

  enter(): void {
    this.#requests++;
  }

  leave(): void {
    if (--this.#requests === 0) this.#empty?.();
  }

  /** Nobody comes in any more. Calls `empty` when the last one has left. */
  retire(empty: () => void): void {
    this.#empty = empty;
    if (this.#requests === 0) empty();
  }
}
