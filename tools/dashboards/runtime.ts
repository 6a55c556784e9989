import { of, quantiles, rate, type Dashboard } from './dashboard.ts';

/** What Node and V8 are busy with. */
export const runtime: Dashboard = {
  name: 'runtime',
  title: 'Weir: runtime',
  rows: [
    {
      title: 'Event loop',
      panels: [
        {
          title: 'Delay',
          description: 'How late turns of the event loop are, in windows of 10 seconds.',
          unit: 's',
          queries: [
            { expr: of('nodejs_eventloop_delay_p50_seconds'), legend: '{{instance}} {{weir_worker}} p50' },
            { expr: of('nodejs_eventloop_delay_p99_seconds'), legend: '{{instance}} {{weir_worker}} p99' },
            { expr: of('nodejs_eventloop_delay_max_seconds'), legend: '{{instance}} {{weir_worker}} max' },
          ],
        },
        {
          title: 'Lag',
          description: 'What load shedding goes by: above listen.maxEventLoopLag requests are refused.',
          unit: 's',
          queries: [{ expr: of('weir_event_loop_lag_seconds'), legend: '{{instance}}' }],
        },
        {
          title: 'Utilization',
          description: 'Share of the time in which the event loop was busy; at 1 the process can do no more.',
          unit: 'percentunit',
          max: 1,
          queries: [{ expr: of('nodejs_eventloop_utilization_ratio'), legend: '{{instance}} {{weir_worker}}' }],
        },
      ],
    },
    {
      title: 'Memory',
      panels: [
        {
          title: 'Resident',
          description: 'Physical memory; one that grows from day to day leaks.',
          unit: 'bytes',
          queries: [{ expr: of('process_memory_usage_bytes'), legend: '{{instance}} {{weir_worker}}' }],
        },
        {
          title: 'Heap by space',
          description: 'JavaScript objects; those that stay are in old_space.',
          unit: 'bytes',
          stacked: true,
          queries: [
            {
              expr: `sum by (v8js_heap_space_name) (${of('v8js_memory_heap_used_bytes')})`,
              legend: '{{v8js_heap_space_name}}',
            },
          ],
        },
        {
          title: 'Heap that V8 has reserved',
          description: 'Used or not.',
          unit: 'bytes',
          queries: [{ expr: `sum by (instance) (${of('v8js_memory_heap_space_size_bytes')})`, legend: '{{instance}}' }],
        },
      ],
    },
    {
      title: 'Garbage',
      panels: [
        {
          title: 'Share of the time',
          description: 'Time in which the garbage collector kept the program from running, by kind.',
          unit: 'percentunit',
          stacked: true,
          queries: [
            {
              expr: `sum by (instance, v8js_gc_type) (${rate('v8js_gc_duration_seconds_sum')})`,
              legend: '{{instance}} {{v8js_gc_type}}',
            },
          ],
        },
        {
          title: 'Pauses',
          description: 'Length of single pauses.',
          unit: 's',
          queries: quantiles('v8js_gc_duration_seconds', ['v8js_gc_type']),
        },
      ],
    },
    {
      title: 'Process',
      panels: [
        {
          title: 'CPU',
          description: 'Cores in use, by mode.',
          unit: 'short',
          stacked: true,
          queries: [
            {
              expr: `sum by (instance, cpu_mode) (${rate('process_cpu_time_seconds_total')})`,
              legend: '{{instance}} {{cpu_mode}}',
            },
          ],
        },
        {
          title: 'Uptime',
          description: 'Since the process started; it falls to 0 where it was started again.',
          unit: 's',
          queries: [{ expr: of('process_uptime_seconds'), legend: '{{instance}} {{weir_worker}}' }],
        },
        {
          title: 'Workers',
          description: 'Processes that serve; nothing where one process does all.',
          unit: 'short',
          queries: [{ expr: of('weir_workers'), legend: '{{instance}}' }],
        },
        {
          title: 'Worker restarts',
          description: 'Workers that ended and were started again in the last hour.',
          unit: 'short',
          queries: [
            { expr: `increase(${of('weir_worker_restarts_total')}[1h])`, legend: '{{instance}} {{weir_worker}}' },
          ],
        },
      ],
    },
  ],
};
