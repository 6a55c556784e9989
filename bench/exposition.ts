/** What a gateway says of itself at `/metrics`, in Prometheus' text format. */
export class Exposition {
  readonly #lines: readonly string[];

  private constructor(text: string) {
    this.#lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  }

  /** @throws {Error} when the gateway does not answer within a quarter of a minute */
  static async of(adminUrl: string): Promise<Exposition> {
    const response = await fetch(`${adminUrl}/metrics`, { signal: AbortSignal.timeout(15_000) });
    const text = await response.text();
    if (!response.ok) throw new Error(`${adminUrl}/metrics answers ${response.status}.`);
    return new Exposition(text);
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
