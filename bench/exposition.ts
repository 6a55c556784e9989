import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';

/** What a gateway says of itself at `/metrics`, in Prometheus' text format. */
export class Exposition {
  readonly #lines: readonly string[];

  private constructor(text: string) {
    this.#lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  }

  /** @throws {Error} when the gateway does not answer, or takes longer than half a minute */
  static async of(adminUrl: string): Promise<Exposition> {
    try {
      // A connection of its own: a kept one may be closed by the gateway just when it is used again.
      const outgoing = get(`${adminUrl}/metrics`, { agent: false, signal: AbortSignal.timeout(30_000) });
      const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
      let text = '';
      for await (const part of response.setEncoding('utf8') as AsyncIterable<string>) text += part;
      if (response.statusCode !== 200) throw new Error(`status ${response.statusCode}`);
      return new Exposition(text);
    } catch (error) {
      throw new Error(`The gateway does not say how it is at ${adminUrl}/metrics: ${String(error)}`, { cause: error });
    }
  }

  /** The sum of all series of the name that have these labels; 0 where there is none yet. */
  sum(name: string, labels: Readonly<Record<string, string>> = {}): number {
    return this.#values(name, labels).reduce((total, value) => total + value, 0);
  }

  #values(name: string, labels: Readonly<Record<string, string>>): number[] {
    const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
    return this.#lines.flatMap((line) => {
      const rest = line.slice(name.length);
      if (!line.startsWith(name) || (rest[0] !== '{' && rest[0] !== ' ')) return [];
      if (!wanted.every((label) => rest.includes(`{${label}`) || rest.includes(`,${label}`))) return [];
      return [Number(rest.slice(rest.lastIndexOf(' ') + 1))];
    });
  }
}
