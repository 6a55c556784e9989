import type { WeirError } from '#core/errors.ts';
import type { CallHandle, ResponseSink } from '#upstreams/call.ts';

/** The hold on a call that goes on once something is known. Aborted before that, it never does. */
export class Deferred<T> implements CallHandle {
  readonly #sink: ResponseSink;
  #handle: CallHandle | undefined;
  #paused = false;
  #aborted = false;

  /**
   * @param known never fails
   * @param go on with it
   * @param drop what is known now, since nobody wants it any more
   */
  constructor(sink: ResponseSink, known: Promise<T>, go: (what: T) => CallHandle, drop: (what: T) => void) {
    this.#sink = sink;
    void known.then((what) => {
      if (this.#aborted) return drop(what);
      this.#handle = go(what);
      if (this.#paused) this.#handle.pause();
    });
  }

  pause(): void {
    this.#paused = true;
    this.#handle?.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#handle?.resume();
  }

  abort(reason: WeirError): void {
    if (this.#handle) return this.#handle.abort(reason);
    if (this.#aborted) return;
    this.#aborted = true;
    this.#sink.onError(reason);
  }
}
