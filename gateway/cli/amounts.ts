import { percent } from '#gateway/control/problems.ts';

/** Amounts as a person reads them at a glance: two or three digits and a unit. */

const units = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
] as const;

/** A stretch of time, to its two greatest units: `3 h 12 m`, `18 s`. */
export function span(ms: number): string {
  const first = units.findIndex(([, size]) => ms >= size);
  if (first < 0) return '0 s';
  const [unit, size] = units[first]!;
  const [smaller, smallerSize] = units[first + 1] ?? ['', Number.POSITIVE_INFINITY];
  const rest = Math.floor((ms % size) / smallerSize);
  return `${Math.floor(ms / size)} ${unit}${rest > 0 ? ` ${rest} ${smaller}` : ''}`;
}

/** From one moment to another, ISO 8601 or milliseconds; the future is `in …`. */
export function ago(at: string, nowMs: number): string {
  const passed = nowMs - Date.parse(at);
  return passed >= 0 ? `${span(passed)} ago` : `in ${span(-passed)}`;
}

/** How long an answer took, or may take: `0.4 ms`, `12 ms`, `1.2 s`. */
export function latency(ms: number | undefined): string {
  if (ms === undefined) return '–';
  if (ms < 10) return `${Number(ms.toFixed(1))} ms`;
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  return `${Number((ms / 1_000).toFixed(1))} s`;
}

export function perSecond(rate: number): string {
  return `${rate >= 10 ? Math.round(rate) : Number(rate.toFixed(1))}/s`;
}

export function share(ratio: number, of: number): string {
  return of === 0 ? '–' : percent(ratio);
}

export function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 1024 ** 2)} MiB`;
}

/** Rows under their headings, each column as wide as its widest cell, two spaces between. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows)
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, cell.length);
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('  ')
      .trimEnd(),
  );
}
