import {
  constants,
  monitorEventLoopDelay,
  performance,
  PerformanceObserver,
  type PerformanceNodeEntry,
} from 'node:perf_hooks';
import { getHeapSpaceStatistics } from 'node:v8';
import type { Histogram, Meter } from '#core/meter.ts';

/** Event loop figures are of the last whole window, so that two readers see the same whenever they collect. */
const defaultWindowMs = 10_000;
const nsPerS = 1e9;
const usPerS = 1e6;

const gcKinds: Readonly<Record<number, string>> = {
  [constants.NODE_PERFORMANCE_GC_MAJOR]: 'major',
  [constants.NODE_PERFORMANCE_GC_MINOR]: 'minor',
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL]: 'incremental',
  [constants.NODE_PERFORMANCE_GC_WEAKCB]: 'weakcb',
};

/**
 * What Node and V8 are doing, after the semantic conventions (`nodejs.*`, `v8js.*`, `process.*`).
 * @returns a function that stops watching
 */
export function watchRuntime(meter: Meter, windowMs = defaultWindowMs): () => void {
  observeProcess(meter);
  observeHeap(meter);
  const stopLoop = watchEventLoop(meter, windowMs);
  const stopGc = watchGc(meter);
  return () => {
    stopLoop();
    stopGc();
  };
}

function watchEventLoop(meter: Meter, windowMs: number): () => void {
  // Once per iteration: it adds no timer, and its values are delays, without a timer's own interval in them.
  const delay = monitorEventLoopDelay({ samplePerIteration: true });
  delay.enable();
  let since = performance.eventLoopUtilization();
  const measure = () => {
    const empty = delay.count === 0;
    return {
      p50: empty ? 0 : delay.percentile(50) / nsPerS,
      p99: empty ? 0 : delay.percentile(99) / nsPerS,
      max: empty ? 0 : delay.max / nsPerS,
      utilization: performance.eventLoopUtilization(since).utilization,
    };
  };
  let lastWindow: ReturnType<typeof measure> | undefined;
  const turn = () => {
    lastWindow = measure();
    since = performance.eventLoopUtilization();
    delay.reset();
  };
  const timer = setInterval(turn, windowMs).unref();
  const gauges = [
    ['nodejs.eventloop.delay.p50', 's', 'Median event loop delay of the last window.', 'p50'],
    ['nodejs.eventloop.delay.p99', 's', '99th percentile of the event loop delay of the last window.', 'p99'],
    ['nodejs.eventloop.delay.max', 's', 'Greatest event loop delay of the last window.', 'max'],
    ['nodejs.eventloop.utilization', '1', 'Share of the last window in which the event loop was busy.', 'utilization'],
  ] as const;
  for (const [name, unit, description, key] of gauges) {
    meter.observe(name, { unit, description, kind: 'gauge', across: 'each' }, (report) =>
      report((lastWindow ?? measure())[key], {}),
    );
  }
  return () => {
    clearInterval(timer);
    delay.disable();
  };
}

function watchGc(meter: Meter): () => void {
  const durations = meter.histogram('v8js.gc.duration', {
    unit: 's',
    description: 'Pauses for garbage collection, by kind.',
    across: 'each',
    bounds: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1],
  });
  const byKind = new Map<string, Histogram>();
  for (const kind of Object.values(gcKinds)) byKind.set(kind, durations.with({ 'v8js.gc.type': kind }));
  const observer = new PerformanceObserver((list) => {
    for (const { detail, duration } of list.getEntries() as PerformanceNodeEntry[]) {
      const kind = gcKinds[(detail as { readonly kind: number }).kind];
      if (kind !== undefined) byKind.get(kind)?.record(duration / 1000);
    }
  });
  observer.observe({ entryTypes: ['gc'] });
  return () => observer.disconnect();
}

function observeProcess(meter: Meter): void {
  meter.observe(
    'process.cpu.time',
    { unit: 's', description: 'CPU time of the process, by mode.', kind: 'counter', across: 'each' },
    (report) => {
      const { user, system } = process.cpuUsage();
      report(user / usPerS, { 'cpu.mode': 'user' });
      report(system / usPerS, { 'cpu.mode': 'system' });
    },
  );
  meter.observe(
    'process.memory.usage',
    { unit: 'By', description: 'Physical memory of the process.', kind: 'gauge', across: 'each' },
    (report) => report(process.memoryUsage.rss(), {}),
  );
  meter.observe(
    'process.uptime',
    { unit: 's', description: 'Since the process started.', kind: 'gauge', across: 'each' },
    (report) => report(process.uptime(), {}),
  );
}

function observeHeap(meter: Meter): void {
  const figures = [
    ['v8js.memory.heap.used', 'Heap memory in use, by space.', 'space_used_size'],
    ['v8js.memory.heap.space.size', 'Heap memory that V8 has reserved, by space.', 'space_size'],
  ] as const;
  for (const [name, description, field] of figures) {
    meter.observe(name, { unit: 'By', description, kind: 'gauge', across: 'each' }, (report) => {
      for (const space of getHeapSpaceStatistics()) report(space[field], { 'v8js.heap.space.name': space.space_name });
    });
  }
}
