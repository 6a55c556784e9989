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
    {
      kind: 'gauge',
      unit: '{connection}',
      description: 'Connections in use, and calls that wait for one.',
      across: 'sum',
    },
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
  meter.observe(
    'weir.upstream.endpoint.ejected',
    {
      kind: 'gauge',
      unit: '{endpoint}',
      description: '1 while the endpoint is left out because calls to it failed, 0 otherwise.',
    },
    (report) => {
      for (const { name, endpoints } of upstreams()) {
        for (const { origin, ejectedUntilMs } of endpoints)
          report(Number(ejectedUntilMs !== undefined), { 'weir.upstream': name, 'server.address': origin });
      }
    },
  );
  meter.observe(
    'weir.upstream.ejections',
    {
      kind: 'counter',
      unit: '{ejection}',
      description: 'Endpoints left out for a while because calls to them failed.',
    },
    (report) => {
      for (const { name, ejection } of upstreams()) report(ejection.count, { 'weir.upstream': name });
    },
  );
  meter.observe(
    'weir.upstream.endpoints',
    { kind: 'gauge', unit: '{endpoint}', description: 'Endpoints, written down or discovered, well or not.' },
    (report) => {
      for (const { name, endpoints } of upstreams()) report(endpoints.length, { 'weir.upstream': name });
    },
  );
  meter.observe(
    'weir.upstream.panic',
    {
      kind: 'gauge',
      unit: '{upstream}',
      description: '1 while too few endpoints are up and all are used, 0 otherwise.',
    },
    (report) => {
      for (const { name, rotation } of upstreams()) report(Number(rotation.panic), { 'weir.upstream': name });
    },
  );
  meter.observe(
    'weir.upstream.discovery.errors',
    {
      kind: 'counter',
      unit: '{error}',
      description: 'Questions for addresses without an answer, or with an empty one.',
    },
    (report) => {
      for (const { name, discovery } of upstreams()) {
        if (discovery.kind !== undefined) report(discovery.errors, { 'weir.upstream': name });
      }
    },
  );
}
