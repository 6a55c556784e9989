import type { RequestContext } from '#core/context.ts';
import type { Logger } from '#core/log.ts';
import type { PreparedOperation } from '#gateway/graphql/prepare.ts';

/** Between a document that is not trusted and the line that tells of it. */
const everyMs = 60_000;
/** Documents with counts of their own in a line; clients choose their texts. */
const maxDocuments = 50;
/** Characters of an operation's name; clients choose it. */
const maxName = 128;

interface Counted {
  readonly operation: string | undefined;
  readonly hash: string;
  readonly consumer: string;
  count: number;
}

/** Tells the log which documents would be refused in mode `only`: what is to be listed yet, and who asks for it. */
export class UnknownDocuments {
  readonly #log: Logger;
  #counted = new Map<string, Counted>();
  #others = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(log: Logger) {
    this.#log = log;
  }

  note({ facts }: PreparedOperation, { identity: { consumer } }: RequestContext): void {
    const key = `${facts.hash} ${consumer}`;
    const known = this.#counted.get(key);
    if (known) known.count++;
    else if (this.#counted.size >= maxDocuments) this.#others++;
    else this.#counted.set(key, { operation: facts.name?.slice(0, maxName), hash: facts.hash, consumer, count: 1 });
    this.#timer ??= setTimeout(() => this.flush(), everyMs).unref();
  }

  /** Says what has been counted, now. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#counted.size === 0) return;
    const documents = [...this.#counted.values()];
    const count = documents.reduce((sum, document) => sum + document.count, this.#others);
    this.#log.info({ count, documents, others: this.#others }, 'documents that are not trusted');
    this.#counted = new Map();
    this.#others = 0;
  }
}
