/** The floods of one workload, second by second, as an SVG: what was served of what the gateway can do, and its memory. */
import type { Flooded } from './run.ts';

const width = 860;
const left = 56;
const right = 16;
const panels = { served: { top: 44, height: 180 }, memory: { top: 268, height: 110 } } as const;
const height = 412;
const blue = '#0b62a4';
const grey = '#5b6b7b';
const mebibyte = 1024 ** 2;

interface Scale {
  readonly top: number;
  readonly height: number;
  readonly most: number;
}

export function chartOf({ title, floods }: Flooded): string {
  const seconds = floods.flatMap(({ multiple, capacityPerS, phase }) =>
    // The last is what came after time was up.
    phase.seconds.slice(0, -1).map(({ ok, rssBytes }) => ({
      multiple,
      served: ok.reduce((sum, [, count]) => sum + count, 0) / capacityPerS,
      memory: rssBytes / mebibyte,
    })),
  );
  const served: Scale = { ...panels.served, most: 1.25 };
  const memory: Scale = { ...panels.memory, most: ceiling(Math.max(...seconds.map((second) => second.memory))) };
  const step = (width - left - right) / seconds.length;
  const x = (index: number) => left + index * step;
  let begin = 0;
  const bands = floods.map(({ multiple, phase }, index) => {
    const from = x(begin);
    begin += phase.seconds.length - 1;
    const fill = index % 2 === 0 ? '#f3f6f9' : '#e9eef4';
    const middle = (from + x(begin)) / 2;
    return `  <rect x="${fixed(from)}" y="${served.top}" width="${fixed(x(begin) - from)}" height="${memory.top + memory.height - served.top}" fill="${fill}"/>
  <text x="${fixed(middle)}" y="${served.top - 8}" text-anchor="middle">${multiple} × offered</text>`;
  });
  const line = (scale: Scale, of: (second: (typeof seconds)[number]) => number) =>
    seconds.map((second, index) => `${fixed(x(index + 0.5))},${fixed(y(scale, of(second)))}`).join(' ');
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="12" fill="#1a2b3c">
  <title>${title}: served share of capacity and memory under 1, 2, 5 and 10 times the load</title>
  <rect width="${width}" height="${height}" fill="#fff"/>
${bands.join('\n')}
${[0, 0.25, 0.5, 0.75, 1, 1.25].map((share) => tick(served, share, `${Math.round(share * 100)} %`)).join('\n')}
${[0, 0.5, 1].map((part) => tick(memory, part * memory.most, `${Math.round(part * memory.most)} MiB`)).join('\n')}
  <line x1="${left}" x2="${width - right}" y1="${fixed(y(served, 0.8))}" y2="${fixed(y(served, 0.8))}" stroke="#b3261e" stroke-dasharray="6 4"/>
  <text x="${width - right - 4}" y="${fixed(y(served, 0.8) + 14)}" text-anchor="end" fill="#b3261e">80 %</text>
  <polyline fill="none" stroke="${blue}" stroke-width="1.6" points="${line(served, (second) => second.served)}"/>
  <polyline fill="none" stroke="${blue}" stroke-width="1.6" points="${line(memory, (second) => second.memory)}"/>
  <text x="${left}" y="18" font-weight="600">Served in each second, of what the gateway can do</text>
  <text x="${left}" y="${memory.top - 10}" font-weight="600">Memory of its process</text>
  <text x="${left}" y="${height - 10}" fill="${grey}">${title}; ${seconds.length} s in all</text>
</svg>
`;
}

function tick(scale: Scale, value: number, label: string): string {
  const at = fixed(y(scale, value));
  return `  <line x1="${left}" x2="${width - right}" y1="${at}" y2="${at}" stroke="#cfd8e3" stroke-width="0.6"/>
  <text x="${left - 6}" y="${fixed(Number(at) + 4)}" text-anchor="end" fill="${grey}">${label}</text>`;
}

function y({ top, height: extent, most }: Scale, value: number): number {
  return top + extent * (1 - Math.min(value, most) / most);
}

/** The next round number. */
function ceiling(value: number): number {
  const unit = 10 ** Math.floor(Math.log10(value)) / 2;
  return Math.ceil(value / unit) * unit;
}

function fixed(value: number): string {
  return value.toFixed(1);
}
