/**
 * RFC 9110 §8.8.3: an entity tag names one representation, and that of another version is another one. So each version
 * marks the tags that it hands out, and takes its mark off those that come back.
 */
export class EntityTags {
  readonly #mark: string;

  /** @param version of the representations */
  constructor(version: string) {
    this.#mark = `-${version}"`;
  }

  /** Of an answer. */
  marked(tag: string): string {
    return tag.endsWith('"') ? `${tag.slice(0, -1)}${this.#mark}` : tag;
  }

  /**
   * Of `If-Match` and `If-None-Match`. A tag without the mark names no representation of this version, so it is left out.
   * @returns undefined where none is left
   */
  unmarked(list: string): string | undefined {
    const kept = [...list.matchAll(/(?:W\/)?"[^"]*"|\*/g)].flatMap(([tag]) => {
      if (tag === '*') return [tag];
      return tag.endsWith(this.#mark) ? [`${tag.slice(0, -this.#mark.length)}"`] : [];
    });
    return kept.length > 0 ? kept.join(', ') : undefined;
  }
}
