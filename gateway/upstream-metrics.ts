import type { Meter } from '#core/meter.ts';
import type { Upstream } from '#upstreams/upstream.ts';

const breakerStates = ['closed', 'half-open', 'open'] as const;

/** What is read off upstreams at each collection, rather than counted at each call. */
export function observeUpstreams(meter: Meter, upstreams: () => Iterable<Upstream>): void {
  meter.observe(
    'weir.upstream.breaker.state',
    { kind: 'gauge', unit: '{state}', description: '1 for the state that the breaker is in, 0 for the others.' },
    (report) => {
      for (const upstream of upstreams()) {
        for (const state of breakerStates) {
          report(Number(upstream.breaker.state === state), {
            'weir.upstream': upstream.name,
            'weir.breaker.state': state,
          });
        }
      }
    },
  );
  meter.observe(
    'weir.upstream.retries',
    { kind: 'counter', unit: '{attempt}', description: 'Attempts after the first.' },
    (report) => {
      for (const { name, retries } of upstreams()) report(retries, { 'weir.upstream': name });
    },
  );
  meter.observe(
    'weir.upstream.connections',
    { kind: 'gauge', unit: '{connection}', description: 'Connections in use, and calls that wait for one.' },
    (report) => {
      for (const { name, slots } of upstreams()) {
        report(slots.used, { 'weir.upstream': name, 'weir.connection.state': 'used' });
        report(slots.waiting, { 'weir.upstream': name, 'weir.connection.state': 'waiting' });
      }
    },
  );
  meter.observe(
    'weir.upstream.endpoint.healthy',
    {
      kind: 'gauge',
      unit: '{endpoint}',
      description: '1 while the endpoint is in use, 0 while its health checks fail.',
    },
    (report) => {
      for (const { name, endpoints } of upstreams()) {
        for (const { origin, healthy } of endpoints)
          report(Number(healthy), { 'weir.upstream': name, 'server.address': origin });
      }
    },
  );
}
