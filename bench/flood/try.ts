import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { chooseCores } from '../machine.ts';
import { runPhase } from './phase.ts';
import { startSubject, workloads } from './workloads.ts';
const [name, secs, ...mults] = process.argv.slice(2);
const folder = await mkdtemp(join(tmpdir(), 'weir-flood-'));
const run = { folder, cores: chooseCores(), checkouts: [{ name: 'Weir', folder: resolve(process.env.CHECKOUT ?? resolve(import.meta.dirname, '../..')) }] };
{
  await using stack = new AsyncDisposableStack();
  const w = workloads.find((x) => x.name === name)!;
  const s = await startSubject(run, stack, w);
  const closed = async (seconds: number, connections = w.connections) => { const p = await runPhase(run.cores.load, s, { seconds, connections }); console.log(`capacity c${connections}: ok ${p.okPerS.toFixed(0)}/s refused ${p.refusedPerS.toFixed(0)} p50 ${p.ok.quantile(0.5).toFixed(1)} p99 ${p.ok.quantile(0.99).toFixed(1)} cpu ${(p.cpu * 100).toFixed(0)}% foreign ${(p.foreign * 100).toFixed(0)}% lost ${p.lostPerS}`); return p.okPerS; };
  await closed(6);
  let cap = await closed(6);
  if (process.env.SWEEP) for (const c of process.env.SWEEP.split(',').map(Number)) await closed(5, c);
  for (const m of mults.map(Number)) {
    const p = await runPhase(run.cores.load, s, { seconds: Number(secs), connections: Number(process.env.CONNS ?? 3000), rate: cap * m });
    const after = await closed(5);
    const share = p.okPerS / ((cap + after) / 2);
    console.log(`x${m}: offered ${(cap * m).toFixed(0)} sent ${p.sentPerS.toFixed(0)} unsent ${p.unsentPerS.toFixed(0)} ok ${p.okPerS.toFixed(0)} (${(share * 100).toFixed(0)}%) refused ${p.refusedPerS.toFixed(0)} lost ${p.lostPerS.toFixed(1)} p50 ${p.ok.quantile(0.5).toFixed(0)} p99 ${p.ok.quantile(0.99).toFixed(0)} rp50 ${p.refused.quantile(.5).toFixed(0)} rp99 ${p.refused.quantile(.99).toFixed(0)} rss ${(p.peakRssBytes / 2 ** 20).toFixed(0)} health ${p.slowestHealthMs?.toFixed(0)} cpu ${(p.cpu * 100).toFixed(0)}% foreign ${(p.foreign * 100).toFixed(0)}%`);
    console.log('   ok/s', p.seconds.map((x) => x.ok.reduce((a, [, n]) => a + n, 0)).join(' '));
    console.log('   under way', p.seconds.map((x) => x.underWay).join(' '));
    p.kinds.forEach((k, i) => console.log('  ', s.kinds[i]!.name, (k.ok / k.sent * 100).toFixed(1) + '% ok of', k.sent));
    cap = after;
  }
}
await rm(folder, { recursive: true, force: true });
