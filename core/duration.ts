const factors: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/**
 * Milliseconds of a duration such as `800ms`, `30s`, `1m`, `2h`, `7d`; fractions are allowed (`1.5s`).
 * @throws {RangeError} when the text is none, or the duration is above 366 days.
 */
export function parseDuration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text.trim());
  const factor = match && factors[match[2]!];
  if (!match || !factor)
    throw new RangeError(`'${text}' is no duration; write a number and ms, s, m, h or d, as in 30s`);
  const ms = Math.round(Number(match[1]) * factor);
  if (ms > 366 * factors.d!) throw new RangeError(`'${text}' is longer than 366d`);
  return ms;
}

/** The shortest exact spelling, the inverse of {@link parseDuration}. */
export function formatDuration(ms: number): string {
  for (const unit of ['d', 'h', 'm', 's'] as const) {
    const factor = factors[unit]!;
    if (ms !== 0 && ms % factor === 0) return `${ms / factor}${unit}`;
  }
  return `${ms}ms`;
}
