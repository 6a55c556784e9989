const factors: Readonly<Record<string, number>> = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };

/**
 * Bytes of a size such as `512B`, `64KiB`, `1MiB`, `2GiB`.
 * @throws {RangeError} when the text is none, or the size is above 1024 GiB.
 */
export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(B|KiB|MiB|GiB)$/.exec(text.trim());
  const factor = match && factors[match[2]!];
  if (!match || !factor)
    throw new RangeError(`'${text}' is no size; write a number and B, KiB, MiB or GiB, as in 64KiB`);
  const bytes = Math.round(Number(match[1]) * factor);
  if (bytes > 1024 * factors.GiB!) throw new RangeError(`'${text}' is larger than 1024GiB`);
  return bytes;
}

/** The shortest exact spelling, the inverse of {@link parseSize}. */
export function formatSize(bytes: number): string {
  for (const unit of ['GiB', 'MiB', 'KiB'] as const) {
    const factor = factors[unit]!;
    if (bytes !== 0 && bytes % factor === 0) return `${bytes / factor}${unit}`;
  }
  return `${bytes}B`;
}
