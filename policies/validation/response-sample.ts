import { firstValue, type Headers } from '#core/headers.ts';
import { Pieces } from '#core/pieces.ts';
import { bodyFault, type Fault } from './fault.ts';
import { entryOf, essence, type CheckedOperation } from './operations.ts';

/** Of an answer, what is held at most; a longer one is not looked at. */
const maxBytes = 256 * 1024;

/** An answer that passes by, kept until it can be looked at beside the request. */
export class ResponseSample {
  readonly #operation: CheckedOperation;
  readonly #headOnly: boolean;
  readonly #done: () => void;
  readonly #note: (faults: readonly Fault[]) => void;
  #status = 0;
  #headers: Headers = {};
  #pieces: Pieces | undefined = new Pieces();

  constructor(
    operation: CheckedOperation,
    headOnly: boolean,
    done: () => void,
    note: (faults: readonly Fault[]) => void,
  ) {
    this.#operation = operation;
    this.#headOnly = headOnly;
    this.#done = done;
    this.#note = note;
  }

  head(status: number, headers: Headers): void {
    this.#status = status;
    this.#headers = headers;
    // A stream of events has no end to wait for, and what is encoded is not unpacked for this.
    const endless = essence(firstValue(headers['content-type']) ?? '') === 'text/event-stream';
    const encoded = (firstValue(headers['content-encoding']) ?? 'identity') !== 'identity';
    if (status < 200 || endless || encoded) this.drop();
  }

  data(chunk: Buffer): void {
    if (!this.#pieces) return;
    if (this.#pieces.length + chunk.length > maxBytes) this.drop();
    else this.#pieces.push(chunk);
  }

  /** It is whole; what follows is done once the client has it. */
  end(): void {
    const pieces = this.#pieces;
    if (!pieces) return;
    setImmediate(() => {
      if (this.#pieces !== pieces) return;
      this.drop();
      this.#note(this.#faults(pieces.join()));
    });
  }

  drop(): void {
    if (!this.#pieces) return;
    this.#pieces = undefined;
    this.#done();
  }

  #faults(body: Buffer): readonly Fault[] {
    const { responses } = this.#operation;
    const status = this.#status;
    const types =
      responses.get(String(status)) ?? responses.get(`${Math.floor(status / 100)}XX`) ?? responses.get('DEFAULT');
    // That a service can fail goes without saying.
    if (!types) return status >= 500 ? [] : [{ detail: `${status} is not documented`, pointer: '#/status' }];
    if (this.#headOnly || body.length === 0 || types.size === 0) return [];
    const type = essence(firstValue(this.#headers['content-type']) ?? '');
    const entry = entryOf(types, type);
    if (!entry) return [{ detail: `${type.slice(0, 64) || 'none'} is not documented`, pointer: '#/content-type' }];
    if (!entry.check) return [];
    try {
      return entry.check.errors(JSON.parse(body.toString()), body.length).map(bodyFault);
    } catch {
      return [{ detail: 'is not JSON', pointer: '#' }];
    }
  }
}
