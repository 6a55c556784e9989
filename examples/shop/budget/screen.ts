/** What the demonstration prints: what it does, what it sees, and whether that is what was promised. */

export interface Screen {
  /** A step, and what it is about. */
  step(title: string, ...about: readonly string[]): void;
  /** Something that is seen. */
  show(text: string): void;
  /** Something that is promised, and whether it held. */
  claim(text: string, held: boolean): void;
}

export class Printer implements Screen {
  readonly #write: (text: string) => void;
  #steps = 0;
  held = 0;
  broken = 0;

  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  step(title: string, ...about: readonly string[]): void {
    this.#write(`\n${++this.#steps}. ${title}\n\n`);
    for (const line of about) this.#write(`   ${line}\n`);
    if (about.length > 0) this.#write('\n');
  }

  show(text: string): void {
    for (const line of text.trimEnd().split('\n')) this.#write(line === '' ? '\n' : `     ${line}\n`);
  }

  claim(text: string, held: boolean): void {
    if (held) this.held++;
    else this.broken++;
    this.#write(`   ${held ? 'ok    ' : 'FAILED'} ${text}\n`);
  }
}
